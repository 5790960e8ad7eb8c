use super::*;
use axum::body::Body;
use http::StatusCode;

async fn get(path: &str, accept: &str) -> Response {
    asked(Method::GET, path, accept).await
}

async fn asked(method: Method, path: &str, accept: &str) -> Response {
    let request = Request::builder().method(method).uri(path).header(header::ACCEPT, accept).body(Body::empty());
    serve(request.unwrap()).await
}

fn kind(response: &Response) -> &str {
    response.headers()[header::CONTENT_TYPE].to_str().unwrap()
}

const BROWSER: &str = "text/html,application/xhtml+xml";

#[tokio::test]
async fn addresses_inside_the_console_get_its_page() {
    for path in ["/", "/agents", "/agents/agent_1/log?level=Error"] {
        let page = get(path, BROWSER).await;
        assert_eq!((page.status(), kind(&page)), (StatusCode::OK, "text/html; charset=utf-8"), "{path}");
        assert_eq!(page.headers().get(header::CACHE_CONTROL), None, "{path} is asked for each time");
        let policy = page.headers()[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("script-src 'self';"), "{policy}");
    }
}

#[tokio::test]
async fn programs_and_the_api_get_a_problem() {
    for (path, accept) in [("/agents", "*/*"), ("/api/v1/nothing", BROWSER), ("/assets/gone.js", BROWSER)] {
        let answer = get(path, accept).await;
        let found = (answer.status(), kind(&answer));
        assert_eq!(found, (StatusCode::NOT_FOUND, "application/problem+json"), "{path}");
    }
    assert_eq!(asked(Method::POST, "/agents", BROWSER).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn hashed_files_are_kept_for_ever() {
    let script = Files::iter().find(|path| path.starts_with(HASHED) && path.ends_with(".js")).unwrap();
    let answer = get(&format!("/{script}"), "*/*").await;
    assert_eq!((answer.status(), kind(&answer)), (StatusCode::OK, "text/javascript; charset=utf-8"));
    assert_eq!(answer.headers()[header::CACHE_CONTROL], FOR_EVER);
}
