//! The API of `docs/guard-an-api-in-rust.md`: what stands below this line stands there, and is asked in `guarded.rs`.

use axum::Router;
use axum::routing::{delete, get};
use opalid_verifier::{Admitted, Guard, Refusal, ResourceMetadata, Scopes, Verify};

pub fn api(verifier: impl Verify) -> Result<Router, Box<dyn std::error::Error>> {
    let metadata = ResourceMetadata::builder("https://api.demo.example/")
        .authorization_server("http://localhost:8080")
        .scopes("cancel read write")
        .name("Orders")
        .build()?;
    let (read, write) = (Scopes::parse("read")?, Scopes::parse("write")?);
    let guard = Guard::builder(verifier)
        .metadata(&metadata)
        .scopes(move |request| if request.method.is_safe() { read.clone() } else { write.clone() })
        .build()?;
    Ok(Router::new()
        .route("/orders", get(list))
        .route("/orders/{id}", delete(cancel))
        .layer(guard) // guards every route above, and every path that there is not
        .route_service(metadata.path(), metadata.clone()))
}

async fn list(token: Admitted) -> String {
    format!("the orders of {}\n", token.subject)
}

async fn cancel(token: Admitted) -> Result<&'static str, Refusal> {
    token.require("cancel")?;
    Ok("cancelled\n")
}
