//! A server on a free port with its own data folder, and a client.

use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use sallyport_server::{Config, Flags, Ready};
use sallyport_store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// No answer in these tests takes longer.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) const EMAIL: &str = "ada@example.org";
pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct Server {
    pub(crate) ready: Ready,
    folder: Option<TempDir>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// Speaks for one person, token or stranger.
#[derive(Clone)]
pub(crate) struct Client {
    pub(crate) base: String,
    pub(crate) token: Option<String>,
    pub(crate) environment: Option<String>,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: ureq::http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

pub(crate) fn flags(data_dir: &Path) -> Flags {
    Flags {
        data_dir: Some(data_dir.to_owned()),
        listen: Some("127.0.0.1:0".into()),
        public_url: Some("https://sallyport.example.org:8443".into()),
        behind_proxy: true,
        release_dir: Some(data_dir.join("release")),
        ..Flags::default()
    }
}

impl Server {
    /// Plain HTTP, so that the client needs no trust.
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let flags = flags(folder.path());
        Self::with(folder, &flags)
    }

    pub(crate) fn with(folder: TempDir, flags: &Flags) -> Self {
        let config = Config::load(flags).unwrap();
        let stop = CancellationToken::new();
        let (announce, announced) = mpsc::channel();
        let stopping = stop.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            let ready = move |ready| announce.send(ready).unwrap();
            runtime.block_on(sallyport_server::run_announced(config, stopping, ready)).unwrap();
        });
        let ready = announced.recv_timeout(DEADLINE).unwrap();
        Self { ready, folder: Some(folder), stop, thread: Some(thread) }
    }

    /// Ends the server as SIGTERM does and gives its folder back.
    pub(crate) fn stop(mut self) -> TempDir {
        self.stop.cancel();
        self.thread.take().unwrap().join().unwrap();
        self.folder.take().unwrap()
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.folder.as_ref().unwrap().path().to_owned()
    }

    pub(crate) fn stranger(&self) -> Client {
        Client { base: format!("http://{}", self.ready.listening), token: None, environment: None }
    }

    pub(crate) fn setup_token(&self) -> String {
        let link = self.ready.setup_link().unwrap().expose().to_owned();
        link.split_once("token=").unwrap().1.to_owned()
    }

    /// Sets the first administrator up and logs in.
    pub(crate) fn administrator(&self) -> Client {
        let stranger = self.stranger();
        let setup = json!({ "token": self.setup_token(), "name": "Ada", "email": EMAIL, "password": PASSWORD });
        assert_eq!(stranger.post("/api/v1/setup", &setup).status, 200);
        stranger.login()
    }

    /// Reaches behind the server, as no client can.
    pub(crate) fn store<T>(&self, work: impl AsyncFnOnce(&Store) -> T) -> T {
        let store = Store::open(&self.data_dir().join("sallyport.db")).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(work(&store))
    }

    /// Another environment of the company.
    pub(crate) fn sandbox(&self) {
        self.store(async |store| {
            let company = store.all_companies().await.unwrap().remove(0);
            let now = sallyport_protocol::Clock::system().now();
            store.create_environment(company.id, "sandbox", now).await.unwrap();
        });
    }

    /// Puts programs for a platform into the release folder.
    pub(crate) fn release(&self, platform: &str, suffix: &str) {
        let folder = self.data_dir().join("release").join(platform);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("sallyport-agent{suffix}")), "the agent ".repeat(50_000)).unwrap();
        std::fs::write(folder.join(format!("sallyport-wrapper{suffix}")), "the wrapper").unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A failed test has said why already.
            let _ = thread.join();
        }
    }
}

impl Client {
    pub(crate) fn login(&self) -> Self {
        let answer = self.post("/api/v1/login", &json!({ "email": EMAIL, "password": PASSWORD }));
        assert_eq!(answer.status, 200, "{}", answer.text());
        Self { token: Some(answer.json()["token"].as_str().unwrap().into()), ..self.clone() }
    }

    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    pub(crate) fn environment(&self, name: &str) -> Self {
        Self { environment: Some(name.into()), ..self.clone() }
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"")
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"")
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.json("POST", path, &[], body)
    }

    pub(crate) fn put(&self, path: &str, if_match: &str, body: &Value) -> Answer {
        self.json("PUT", path, &[("if-match", if_match)], body)
    }

    pub(crate) fn patch(&self, path: &str, if_match: &str, body: &Value) -> Answer {
        self.json("PATCH", path, &[("if-match", if_match)], body)
    }

    pub(crate) fn json(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        let headers = [&[("content-type", "application/json")], headers].concat();
        self.send(method, path, &headers, body.to_string().as_bytes())
    }

    pub(crate) fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(DEADLINE))
            .allow_non_standard_methods(true)
            .build()
            .new_agent();
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(environment) = &self.environment {
            request = request.header("sallyport-environment", environment);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut response = if body.is_empty() {
            agent.run(request.body(()).unwrap()).unwrap()
        } else {
            agent.run(request.body(body).unwrap()).unwrap()
        };
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.body_mut().with_config().limit(1 << 30).read_to_vec().unwrap();
        Answer { status, headers, body }
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    }

    /// The status and code of a problem, checked against each other's media type.
    #[track_caller]
    pub(crate) fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        let body = self.json();
        assert_eq!(body["status"], self.status);
        assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{body}");
        (self.status, body["code"].as_str().unwrap().to_owned())
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.problem(), (status, code.to_owned()), "{}", self.text());
    }
}
