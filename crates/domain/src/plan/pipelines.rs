//! Which steps run together: those joined by data edges.

use super::PlannedStep;

/// The connected components of the steps that run, in the order of their first step.
pub(super) fn pipelines(steps: &[PlannedStep]) -> Vec<Vec<usize>> {
    let edges: Vec<&[usize]> = steps.iter().map(|step| if step.runs { step.inputs.as_slice() } else { &[] }).collect();
    let group = groups(&edges);
    let mut pipelines: Vec<(usize, Vec<usize>)> = Vec::new();
    for (index, _) in steps.iter().enumerate().filter(|(_, step)| step.runs) {
        match pipelines.iter_mut().find(|(g, _)| *g == group[index]) {
            Some((_, members)) => members.push(index),
            None => pipelines.push((group[index], vec![index])),
        }
    }
    pipelines.into_iter().map(|(_, members)| members).collect()
}

/// For each step the first step that it is joined with by inputs, directly or through others.
pub(super) fn groups(inputs: &[impl AsRef<[usize]>]) -> Vec<usize> {
    let mut group: Vec<usize> = (0..inputs.len()).collect();
    for (index, from) in inputs.iter().enumerate() {
        for &input in from.as_ref() {
            let (one, other) = (group[index], group[input]);
            let (low, high) = (one.min(other), one.max(other));
            group.iter_mut().filter(|g| **g == high).for_each(|g| *g = low);
        }
    }
    group
}

/// The first step found on a cycle of inputs, if there is one. `inputs` holds indices into itself.
pub(super) fn cycle(inputs: &[Vec<usize>]) -> Option<usize> {
    let mut pending: Vec<usize> = inputs.iter().map(Vec::len).collect();
    let mut done = vec![false; inputs.len()];
    while let Some(free) = (0..inputs.len()).find(|&step| !done[step] && pending[step] == 0) {
        done[free] = true;
        for (step, from) in inputs.iter().enumerate() {
            pending[step] -= from.iter().filter(|input| **input == free).count().min(pending[step]);
        }
    }
    done.iter().position(|done| !done)
}
