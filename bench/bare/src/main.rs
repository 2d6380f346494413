//! `bare FILE`: answers GET and POST of any path with the JSON in FILE, on one thread; a POST's body is read as JSON.
//! Prints its port.
use axum::Json;
use axum::routing::get;
use serde_json::Value;

fn main() {
    let file = std::env::args().nth(1).expect("a file with the answer");
    let text = std::fs::read_to_string(file).expect("the file reads");
    let answer: Value = serde_json::from_str(&text).expect("the file is JSON");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(serve(answer));
}

async fn serve(answer: Value) {
    let posted = answer.clone();
    let handlers = get(async move || Json(answer.clone())).post(async move |Json(_): Json<Value>| Json(posted.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    println!("{}", listener.local_addr().expect("it has one").port());
    axum::serve(listener, axum::Router::new().route("/{*path}", handlers)).await.expect("it serves");
}
