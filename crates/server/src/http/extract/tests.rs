use axum::body::{Body, Bytes};
use futures_util::stream::{once, pending};

use super::*;

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let first = once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"{")) });
    let request = Request::new(Body::from_stream(first.chain(pending())));
    let problem = within(Duration::from_millis(20), request).await.unwrap_err();
    assert_eq!(problem.code(), Code::SlowBody);
    let whole = within(BODY_WITHIN, Request::new(Body::from("{}"))).await.unwrap();
    assert_eq!(whole, b"{}");
}
