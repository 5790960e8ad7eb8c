//! The API's description as JSON and as a page. The page is made here, from the same JSON; it loads nothing.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::Json;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header;
use serde_json::Value;
use sha2::{Digest, Sha256};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{Ref, RefOr, ResponseBuilder, content::ContentBuilder};

use crate::http::problem::{Code, FieldProblem, ProblemView};

/// The description's head; paths are added by the router.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sallyport",
        description = "Control plane of Sallyport: agents, connections, tasks, runs. Errors are \
                       `application/problem+json` with a stable `code`. Lists take `limit`, `cursor`, `sort` and \
                       filters, and answer `items`, `next_cursor`, `total`. Edits send the `ETag` they are based on \
                       as `If-Match`. The header `Sallyport-Environment` (name or id) chooses the environment.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(ProblemView, FieldProblem)),
    security(("bearer" = [])),
    tags(
        (name = "login", description = "People and their API tokens"),
        (name = "company", description = "Company, its people, environments, licence, what people changed"),
        (name = "agents", description = "Agents and their wrappers"),
        (name = "connections", description = "Named targets that agents reach"),
        (name = "tasks", description = "What is to be done, and with which connectors"),
        (name = "triggers", description = "What starts tasks by itself"),
        (name = "checkpoints", description = "How far incremental reads are"),
        (name = "runs", description = "Executions of tasks"),
        (name = "notifications", description = "Who is told about failures, recoveries and late runs"),
        (name = "releases", description = "Releases of the agent, and which agents get them"),
        (name = "logs", description = "Logs of agents and wrappers"),
    )
)]
pub(crate) struct Head;

/// Adds what every operation has in common.
pub(crate) fn complete(mut described: utoipa::openapi::OpenApi) -> utoipa::openapi::OpenApi {
    let bearer = SecurityScheme::Http(
        HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The token of a login, or an API token"))
            .build(),
    );
    described.components.get_or_insert_default().add_security_scheme("bearer", bearer);
    let problem = ResponseBuilder::new()
        .description("A problem; `code` says which")
        .content(
            "application/problem+json",
            ContentBuilder::new().schema(Some(RefOr::Ref(Ref::from_schema_name("ProblemView")))).build(),
        )
        .build();
    for (path, item) in &mut described.paths.paths {
        let operations = [
            ("get", &mut item.get),
            ("put", &mut item.put),
            ("post", &mut item.post),
            ("delete", &mut item.delete),
            ("patch", &mut item.patch),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            operation.responses.responses.insert("default".into(), RefOr::T(problem.clone()));
            operation.operation_id = Some(operation_id(method, path));
        }
    }
    described
}

/// Unique, because method and path are: `post_agents_id_restart`.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.trim_start_matches("/api/v1/").split(['/', '-']).map(|word| word.trim_matches(['{', '}']));
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

static DESCRIPTION: LazyLock<Value> = LazyLock::new(|| serde_json::to_value(super::openapi()).unwrap_or(Value::Null));

static PAGE: LazyLock<String> = LazyLock::new(|| html("Sallyport API", &render(&DESCRIPTION)));

/// `/api/openapi.json`
pub(crate) async fn document() -> Json<&'static Value> {
    Json(&DESCRIPTION)
}

/// `/api/docs`
pub(crate) async fn page() -> Response {
    ([(header::CONTENT_SECURITY_POLICY, policy(""))], Html(PAGE.as_str())).into_response()
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;\
background:#fff}h1,h2{line-height:1.2}code,pre{font:14px/1.4 ui-monospace,monospace;background:#f4f4f6;border-radius:4px}\
code{padding:.1em .3em}section{border:1px solid #ddd;border-radius:8px;padding:.5rem 1rem;margin:1rem 0}\
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.2rem .8rem .2rem 0;\
border-top:1px solid #eee}h3{margin:.4rem 0}.method{display:inline-block;min-width:4.5rem;color:#06c}\
label{display:block;margin:.8rem 0}input{display:block;width:100%;max-width:24rem;padding:.4rem;font:inherit}\
button{font:inherit;padding:.4rem 1rem}.problem{color:#b00}\
@media(prefers-color-scheme:dark){body{color:#ddd;background:#16161a}code,pre{background:#24242a}\
section,td,th{border-color:#333}a,.method{color:#7af}.problem{color:#f77}}";

/// A page with our style and no script.
pub(crate) fn html(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{}</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>{body}</body></html>",
        escape(title)
    )
}

/// What such a page may do: nothing but our style, and `also`.
pub(crate) fn policy(also: &str) -> String {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; frame-ancestors 'none'; {also}")
}

/// Text as HTML.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

fn render(description: &Value) -> String {
    let mut page = String::from("<h1>Sallyport API</h1>");
    let _ = write!(
        page,
        "<p>{}</p><p>The same for programs: <a href=\"/api/openapi.json\">openapi.json</a>.</p>",
        prose(text(&description["info"], "description"))
    );
    for tag in description["tags"].as_array().into_iter().flatten() {
        let name = text(tag, "name");
        let _ = write!(page, "<h2 id=\"{0}\">{0}</h2><p>{1}</p>", escape(name), prose(text(tag, "description")));
        for (path, item) in description["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                if operation["tags"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag == name)) {
                    render_operation(&mut page, path, method, operation);
                }
            }
        }
    }
    page.push_str("<h2 id=\"schemas\">Shapes</h2>");
    for (name, schema) in description["components"]["schemas"].as_object().into_iter().flatten() {
        render_schema(&mut page, name, schema);
    }
    page.push_str("<h2 id=\"problems\">Problem codes</h2><table><tr><th>code</th><th>status</th><th></th></tr>");
    for code in Code::ALL {
        let _ = write!(
            page,
            "<tr id=\"problem-{0}\"><td><code>{0}</code></td><td>{1}</td><td>{2}</td></tr>",
            code.word(),
            code.status().as_u16(),
            code.title()
        );
    }
    page.push_str("</table>");
    page
}

fn render_operation(page: &mut String, path: &str, method: &str, operation: &Value) {
    let summary = [text(operation, "summary"), text(operation, "description")].join(" ");
    let _ = write!(
        page,
        "<section><h3><span class=\"method\">{}</span> <code>{}</code></h3><p>{}</p><table>",
        method.to_uppercase(),
        escape(path),
        prose(summary.trim())
    );
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let needed = if parameter["required"] == true { "required" } else { "" };
        let _ = write!(
            page,
            "<tr><td><code>{}</code></td><td>{} {needed}</td><td>{}</td></tr>",
            escape(text(parameter, "name")),
            escape(text(parameter, "in")),
            prose(text(parameter, "description"))
        );
    }
    for (media, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
        let _ = write!(page, "<tr><td>body</td><td>{}</td><td>{}</td></tr>", escape(media), shape(&content["schema"]));
    }
    for (status, response) in
        operation["responses"].as_object().into_iter().flatten().filter(|(status, _)| *status != "default")
    {
        let shapes: Vec<String> = response["content"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(_, content)| shape(&content["schema"]))
            .collect();
        let _ = write!(
            page,
            "<tr><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(status),
            shapes.join(", "),
            prose(text(response, "description"))
        );
    }
    page.push_str("</table></section>");
}

fn render_schema(page: &mut String, name: &str, schema: &Value) {
    let _ = write!(
        page,
        "<section id=\"schema-{0}\"><h3>{0}</h3><p>{1}</p><table>",
        escape(name),
        prose(text(schema, "description"))
    );
    for (field, of) in schema["properties"].as_object().into_iter().flatten() {
        let _ = write!(
            page,
            "<tr><td><code>{}</code></td><td>{}</td><td>{}</td></tr>",
            escape(field),
            shape(of),
            prose(text(of, "description"))
        );
    }
    page.push_str("</table></section>");
}

fn shape(schema: &Value) -> String {
    if let Some(name) = schema["$ref"].as_str().and_then(|reference| reference.rsplit('/').next()) {
        return format!("<a href=\"#schema-{0}\">{0}</a>", escape(name));
    }
    if schema["type"] == "array" {
        return format!("list of {}", shape(&schema["items"]));
    }
    let either = schema["oneOf"].as_array().or_else(|| schema["allOf"].as_array());
    if let Some(either) = either {
        return either.iter().map(shape).collect::<Vec<_>>().join(" or ");
    }
    match &schema["type"] {
        Value::String(kind) => escape(kind),
        Value::Array(kinds) => escape(&kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or ")),
        _ => String::new(),
    }
}

/// Text with `code` in backticks.
fn prose(text: &str) -> String {
    let mut html = String::new();
    for (number, part) in text.split('`').enumerate() {
        if number % 2 == 1 {
            let _ = write!(html, "<code>{}</code>", escape(part));
        } else {
            html.push_str(&escape(part));
        }
    }
    html
}

fn text<'a>(of: &'a Value, key: &str) -> &'a str {
    of[key].as_str().unwrap_or_default()
}
