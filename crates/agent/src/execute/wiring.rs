//! Joins the steps of an order by edges: pure decisions, then a value per step and per stream.

use std::collections::HashMap;

use sallyport_dataplane::{Input, Producer, edge};
use sallyport_protocol::{Action, Peer, Ticket, Via, WorkOrder};

/// The ends of one step's edges.
#[derive(Default)]
pub(super) struct Ends {
    /// By the name of the step they come from.
    pub(super) inputs: Vec<(String, Input)>,
    pub(super) outputs: Vec<Producer>,
    /// Consumers in this order, to tell one that had enough from one that failed.
    pub(super) consumers: Vec<usize>,
}

/// One stream through the relay and the local edge it joins.
pub(super) struct Relay {
    /// The local step.
    pub(super) step: usize,
    pub(super) ticket: Ticket,
    pub(super) peer: String,
    /// The other agent, where the stream is sealed.
    pub(super) sealed: Option<Peer>,
    pub(super) way: Way,
}

pub(super) enum Way {
    Out(Input),
    In(Producer),
}

pub(super) struct Wiring {
    pub(super) steps: Vec<Ends>,
    pub(super) relays: Vec<Relay>,
}

impl Wiring {
    /// Refuses orders whose steps cannot be joined, with the step and the reason.
    pub(super) fn of(order: &WorkOrder) -> Result<Self, (usize, String)> {
        let mut numbers = HashMap::new();
        for (index, step) in order.steps.iter().enumerate() {
            if numbers.insert(step.name.as_str(), index).is_some() {
                return Err((index, format!("two steps are named `{}`", step.name)));
            }
            check_inputs(&step.action, step.inputs.len()).map_err(|why| (index, why))?;
        }
        let mut steps: Vec<Ends> = order.steps.iter().map(|_| Ends::default()).collect();
        let mut relays = Vec::new();
        for (index, step) in order.steps.iter().enumerate() {
            for inlet in &step.inputs {
                let (producer, input) = edge();
                match &inlet.via {
                    Via::Local => {
                        let from = numbers.get(inlet.from.as_str()).copied().filter(|from| *from != index);
                        let from = from.ok_or_else(|| (index, format!("its input `{}` is not here", inlet.from)))?;
                        steps[from].outputs.push(producer);
                        steps[from].consumers.push(index);
                    }
                    Via::Unknown => {
                        let from = &inlet.from;
                        return Err((index, format!("this agent is too old for the way from `{from}`; update it")));
                    }
                    Via::Relay { ticket, peer } => relays.push(Relay {
                        step: index,
                        ticket: ticket.clone(),
                        peer: inlet.from.clone(),
                        sealed: peer.clone(),
                        way: Way::In(producer),
                    }),
                }
                steps[index].inputs.push((inlet.from.clone(), input));
            }
            for outlet in &step.outputs {
                let (producer, input) = edge();
                steps[index].outputs.push(producer);
                let (ticket, peer, sealed) = (outlet.ticket.clone(), outlet.to.clone(), outlet.peer.clone());
                relays.push(Relay { step: index, ticket, peer, sealed, way: Way::Out(input) });
            }
        }
        Ok(Self { steps, relays })
    }

    pub(super) fn streams(&self) -> usize {
        self.relays.len()
    }
}

fn check_inputs(action: &Action, inputs: usize) -> Result<(), String> {
    match action {
        Action::Connector { .. } if inputs > 1 => Err(format!("a connector takes one input, not {inputs}")),
        Action::Transform { .. } if inputs == 0 => Err("a transform needs an input".to_owned()),
        _ => Ok(()),
    }
}
