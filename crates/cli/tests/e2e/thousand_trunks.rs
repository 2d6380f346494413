//! A thousand trunks made as fast as they can be have a thousand domains.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use serde_json::json;
use tandem_model::clock;
use tandem_testkit::Answer;

use crate::stage::world::text;
use crate::stage::{World, WorldOptions};

const TRUNKS: usize = 1_000;
const AT_ONCE: usize = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_trunks_have_a_thousand_domains() {
    // The request rate of one account is not what is asked about here.
    let fast = vec![("TANDEM_API__RATE_LIMIT_PER_S", "100000"), ("TANDEM_API__RATE_LIMIT_BURST", "100000")];
    let options = WorldOptions { environment: fast, ..WorldOptions::default() };
    let world = World::open(options, |_| Answer::status(204)).await;
    let customer = world.customer("many", 0.0, (10, 10)).await;
    let began = clock::monotonic();
    let world = &world;
    let customer = &customer;
    let made: Vec<(String, String)> = futures_util::stream::iter(0..TRUNKS)
        .map(|number| async move {
            let body = json!({"name": format!("trunk-{number}"), "trunk_direction": "outbound"});
            let made = world.api(customer, "POST", "/trunks", Some(&body)).await.ok();
            (text(&made, "trunk_id"), text(&made, "trunk_domain"))
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let took = clock::monotonic().duration_since(began);
    println!("{TRUNKS} trunks in {took:?}");
    let domains: HashSet<_> = made.iter().map(|(_, domain)| domain).collect();
    assert_eq!(domains.len(), TRUNKS);
    for (id, domain) in &made {
        let label = domain.split('.').next().unwrap_or_default();
        let id_digits: String = id.chars().filter(|c| *c != '-').take(8).collect();
        assert_eq!(label, id_digits, "the domain is the first eight hex digits of the id");
    }
    let listed = world.api(customer, "GET", "/trunks?limit=1", None).await.ok();
    let total = listed["meta"]["total"].as_u64().or_else(|| listed["meta"]["total_count"].as_u64());
    assert_eq!(total, Some(TRUNKS as u64), "{}", listed["meta"]);
}
