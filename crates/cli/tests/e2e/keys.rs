//! One key, one effect, with the process killed in between: fifty twins each of a transfer, a new customer and the
//! operator's top-up, kill -9 under way, the same requests again.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use tandem_testkit::{Answer, Reply};

use crate::stage::{World, WorldOptions};

const ROUNDS: u64 = 4;
const TWINS: usize = 50;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_and_a_kill_leave_one_transfer_one_customer_and_one_top_up() {
    let mut world = World::open(WorldOptions::default(), |_| Answer::status(204)).await;
    let mut customers = 0;
    for round in 0..ROUNDS {
        let shop = world.customer(&format!("shop{round}"), 0.0, (1, 1)).await;
        customers += 1;
        let (platform, partner) = (&world.platform, &world.partner);
        let key = format!("key-{round}");
        let transfer_path = format!("/partner/accounts/{}/transfer-balance", shop.who.id);
        let transfer = json!({"amount": 7.25, "currency": "INR"});
        let new = json!({"name": "Twin", "email": format!("twin{round}@shop.example"), "phone": "+919800000001",
            "password": "Change-me-1", "country": "IN"});
        let top_up_path = format!("/admin/accounts/{}/credit", shop.who.id);
        let top_up = json!({"amount": "1.5", "reference": format!("paid-{round}")});
        let headers = [("idempotency-key", key.as_str())];
        let twin = |index: usize| {
            let (transfer_path, transfer, new, top_up_path, top_up) =
                (&transfer_path, &transfer, &new, &top_up_path, &top_up);
            let headers = &headers;
            async move {
                let asked = async {
                    match index % 3 {
                        0 => {
                            platform.rest_with("POST", transfer_path, partner, headers, Some(transfer)).await
                        }
                        1 => {
                            platform.rest_with("POST", "/partner/accounts", partner, headers, Some(new)).await
                        }
                        _ => platform.operator("POST", top_up_path, Some(top_up)).await,
                    }
                };
                // A server that is killed answers nothing: the test's client panics, and that is no failure here.
                let answer = futures_util::FutureExt::catch_unwind(std::panic::AssertUnwindSafe(asked)).await;
                (index % 3, answer.ok())
            }
        };
        let kill = async {
            tokio::time::sleep(Duration::from_millis(2 + round * 9)).await;
            let killed =
                std::process::Command::new("kill").args(["-9", &platform.pid().to_string()]).status();
            assert!(killed.unwrap().success());
        };
        let (before, ()) = tokio::join!(join_all((0..3 * TWINS).map(twin)), kill);
        world.platform.kill();
        world.platform.restart();
        customers += 1;

        let (platform, partner) = (&world.platform, &world.partner);
        let after = [
            platform.rest_with("POST", &transfer_path, partner, &headers, Some(&transfer)).await,
            platform.rest_with("POST", "/partner/accounts", partner, &headers, Some(&new)).await,
            platform.operator("POST", &top_up_path, Some(&top_up)).await,
        ];
        let is_done = |reply: &Reply| matches!(reply.status, 200 | 201);
        assert!(after.iter().all(is_done), "{after:?}");
        for (kind, answer) in before {
            // Of the operator's request only the reference is the key here: its answer says whether it repeated.
            if let Some(answer) = answer.filter(is_done).filter(|_| kind < 2) {
                assert_eq!(answer.body, after[kind].body, "what was promised before the kill holds");
            }
        }
        assert_eq!(world.balance(&shop.who.id).await, 8_750_000, "round {round}: 7.25 and 1.50, once each");
        let list = platform.rest("GET", "/partner/accounts?per_page=1", partner, None).await.ok();
        assert_eq!(list["total"], customers, "round {round}");
    }
    world.verify_ledger();
}

/// What a node says that does not start, and what `doctor` says of it.
#[test]
fn the_api_is_not_served_in_the_clear_to_others() {
    let folder = tempfile::tempdir().unwrap();
    let tandem = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tandem"));
        command.args(arguments).arg("--data").arg(folder.path());
        let output = command.env("TANDEM_API__LISTEN", "0.0.0.0:0").output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    };
    let (started, words) = tandem(&["serve", "--sip", "127.0.0.1:0"]);
    assert!(
        !started && words.contains("api.behind_proxy") && words.contains("api.tls_certificate"),
        "{words}"
    );
    let (_, words) = tandem(&["doctor"]);
    assert!(words.contains("tokens would travel in the clear"), "{words}");
}
