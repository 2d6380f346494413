//! Nobody reaches what is another's: every operation is asked by the owner, who sees the planted canary, and by everybody
//! else, who is refused, is told nothing of the owner's and changes no row of the owner's.

use super::golden::HELD_ELSEWHERE;
use super::world::{Request, World};
use crate::api::openapi::{Operation, Who, operations};
use crate::api::tests::Login;

/// Reads that show nothing of the owner's own: what is for sale and for how much, kinds of ledger lines, a list that is empty.
const WITHOUT_CANARY: [&str; 3] = [
    "/Account/{auth_id}/inventory/numbers",
    "/Account/{auth_id}/transactions/reference-types",
    "/Account/{auth_id}/channel-pricing-preview",
];

/// Somebody else, and the path it tries.
struct Try<'w> {
    who: &'static str,
    login: Option<&'w Login>,
    request: Request,
    /// Under its own path there may be nothing that is foreign.
    own_scope: bool,
}

fn tries<'w>(world: &'w World, operation: &Operation) -> Vec<Try<'w>> {
    let facts = world.facts;
    let asked = world.example(operation);
    let mut tries = Vec::new();
    let mut add = |who, login, request: &Request, own_scope| {
        tries.push(Try { who, login, request: request.clone(), own_scope });
    };
    let revoked = if operation.who == Who::Partner { &facts.revoked_partner } else { &facts.revoked };
    add("revoked token", Some(revoked), &asked, false);
    add("none", None, &asked, false);
    // About whom the path does not tell, the caller's own things are answered.
    let names_owner = !operation.parameters().is_empty() && operation.who != Who::Caller;
    match operation.who {
        Who::Account | Who::Parent if operation.pattern.starts_with("/Account/") => {
            for (who, login) in [
                ("sibling", &facts.sibling),
                ("parent", &facts.partner),
                ("other partner", &facts.other_partner),
                ("sub-account", &facts.sub),
            ] {
                add(who, Some(login), &asked, false);
            }
            // Another's ids, or one's own lists, under one's own path.
            let own = world.example_with(operation, "auth_id", &facts.sibling.id);
            let names_more =
                operation.parameters().iter().any(|name| !matches!(*name, "auth_id" | "currency" | "month"));
            add("sibling, own path", Some(&facts.sibling), &own, !names_more);
            if names_more {
                let own = world.example_with(operation, "auth_id", &facts.sub.id);
                add("sub-account, own path", Some(&facts.sub), &own, false);
            }
        }
        Who::Account | Who::Partner | Who::Parent | Who::Caller => {
            let all = [
                ("sibling", &facts.sibling),
                ("parent", &facts.partner),
                ("customer", &facts.owner),
                ("other partner", &facts.other_partner),
                ("sub-account", &facts.sub),
            ];
            let owner = world.owner_of(operation);
            for (who, login) in all.into_iter().filter(|(_, login)| login.id != owner.id) {
                let is_family = operation.who == Who::Caller && matches!(who, "parent" | "sub-account");
                if !is_family {
                    add(who, Some(login), &asked, !names_owner);
                }
            }
        }
        Who::Nobody => {}
    }
    tries
}

#[tokio::test]
async fn no_operation_reads_or_writes_what_is_anothers() {
    let (mut wrong, mut asked, mut seen, mut refused, mut own) = (Vec::new(), 0, 0, 0, 0);
    let operations = operations();
    for operation in operations.iter().filter(|operation| operation.who != Who::Nobody) {
        let name = format!("{} {}", operation.method, operation.pattern);
        let needs_engine = HELD_ELSEWHERE.contains(&(operation.method, operation.pattern.as_str()));
        let expected = if needs_engine { 503 } else { operation.status };
        let world = World::fresh().await;
        let facts = world.facts;
        if operation.method == "GET" {
            // Reading may change what is read: in a copy of its own.
            let first = World::fresh().await;
            let (status, text) =
                first.send(&first.example(operation), Some(first.owner_of(operation)), "plain").await;
            let own = &first.owner_of(operation).id;
            let told = text.contains(own) || facts.canaries().iter().any(|canary| text.contains(canary));
            match (status == expected, told) {
                (false, _) => wrong.push(format!("{name}: the owner is answered {status} {text}")),
                (true, false) if expected != 501 && !WITHOUT_CANARY.contains(&operation.pattern.as_str()) => {
                    wrong.push(format!("{name}: the owner sees no canary: {text}"));
                }
                (true, told) => seen += usize::from(told),
            }
        }
        let mut witness = world.witness();
        let mut took = false;
        for attempt in tries(&world, operation) {
            asked += 1;
            let Try { who, login, request, own_scope } = attempt;
            let (status, text) = world.send(&request, login, "plain").await;
            let changed = witness.changes();
            let sent =
                format!("{} {}", request.path, request.body.map(|body| body.to_string()).unwrap_or_default());
            let told: Vec<_> = facts
                .canaries()
                .into_iter()
                .filter(|canary| text.contains(canary) && !sent.contains(canary))
                .collect();
            if !told.is_empty() {
                wrong.push(format!("{name} told {who} {told:?}: {status} {text}"));
            }
            let foreign: Vec<_> = changed
                .iter()
                .filter(|row| facts.tenants().iter().any(|tenant| row.contains(tenant)))
                .collect();
            if !foreign.is_empty() {
                wrong.push(format!("{name}: {who} changed {foreign:#?}"));
            }
            match status {
                401 | 403 | 404 => refused += 1,
                // Ids in bodies are told as wrong fields; without an engine no call is made for anybody.
                400 | 402 if operation.example().is_some() && login.is_some() => refused += 1,
                501 if expected == status => refused += 1,
                503 if expected == status && own_scope => refused += 1,
                200..300 if own_scope => {
                    own += 1;
                    took |= !changed.is_empty();
                }
                _ => wrong.push(format!("{name}: {who} is answered {status} {text}")),
            }
            if !own_scope && !changed.is_empty() {
                wrong.push(format!("{name}: {who} changed {changed:#?}"));
            }
        }
        // What a stranger rightly took for itself is there no more.
        let world = if took { World::fresh().await } else { world };
        let (status, text) =
            world.send(&world.example(operation), Some(world.owner_of(operation)), "plain").await;
        if status != expected {
            wrong.push(format!("{name}: afterwards the owner is answered {status} {text}"));
        }
    }
    eprintln!(
        "walls: {} operations, {asked} strange requests, {refused} refused, {own} answered with the stranger's own, \
         {seen} reads in which the owner saw a canary first, {} faults",
        operations.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
