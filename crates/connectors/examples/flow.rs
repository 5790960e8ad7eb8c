//! Joins one source to one sink in this process, to measure connectors without an agent around them:
//!
//! `flow SOURCE SINK`, each as JSON `{"kind": ..., "settings": {...}, "password": ..., "with": {...}}`; a sink `null`
//! drops the rows. Prints the counts; run it under `time -v` or `perf`.

use std::sync::Arc;

use sallyport_connectors::{CommitKey, Context, Site};
use sallyport_dataplane::{Cancel, Output, Progress, edge};
use sallyport_protocol::{ConnectionOrder, Secret};
use serde_json::Value;

type Outcome = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn main() -> Outcome {
    let mut arguments = std::env::args().skip(1);
    let mut next = || arguments.next().ok_or("usage: flow SOURCE SINK");
    let (from, to): (Value, Value) = (serde_json::from_str(&next()?)?, serde_json::from_str(&next()?)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let scratch = tempfile::tempdir()?;
    let cx = Context {
        cancel: Cancel::new(),
        progress: Arc::new(Progress::default()),
        log: Arc::new(|_, _| {}),
        scratch: scratch.path().to_owned(),
        site: Arc::new(Site { files_root: std::env::current_dir()?, ..Site::default() }),
        reach: sallyport_connectors::Reach::Direct,
        commit: CommitKey { key: format!("flow {}", std::process::id()), attempt: 1, fence: 1 },
        checkpointing: None,
        provenance: Arc::default(),
    };
    let source = sallyport_connectors::source(kind(&from), connection(&from).as_ref(), &from["with"])?;
    let (producer, mut input) = edge();
    let mut output = Output::new(vec![producer], Arc::clone(&cx.progress), runtime.handle().clone());
    let reading = cx.clone();
    let reader = std::thread::spawn(move || -> Outcome {
        match source.read(&mut output, &reading) {
            Ok(()) => Ok(output.finish()?),
            Err(error) => {
                output.abort(&error.to_string());
                Err(error.into())
            }
        }
    });
    if to.is_null() {
        while input.next_batch()?.is_some() {}
    } else {
        let sink = sallyport_connectors::sink(kind(&to), connection(&to).as_ref(), &to["with"])?;
        sink.write(&mut input, &cx)?;
    }
    reader.join().map_err(|_| "the reader panicked")??;
    tell(&format!("{:?}", cx.progress.counts()));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the program is for")]
fn tell(line: &str) {
    println!("{line}");
}

fn kind(step: &Value) -> &str {
    step["kind"].as_str().unwrap_or_default()
}

fn connection(step: &Value) -> Option<ConnectionOrder> {
    let settings = step.get("settings")?.clone();
    let secrets = step["password"].as_str().map(|text| ("password".to_owned(), Secret::new(text)));
    Some(ConnectionOrder { name: "flow".into(), settings, secrets: secrets.into_iter().collect() })
}
