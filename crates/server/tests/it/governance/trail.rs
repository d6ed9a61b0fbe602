//! The audit trail: sealed, proved, exported, and what tampering shows.

use engine::audit::{InclusionProof, check_proof};

use super::*;

#[test]
fn the_trail_is_sealed_proved_exported_and_tampering_is_named() {
    let fixture = Fixture::new();
    let model = ScriptedModel::replying(&["SELECT count(*) FROM orders"]);
    let server = Server::start(&fixture, &model);
    let admin = Person::admin(&server);
    admin.ask("How many orders?");
    let answered = admin.get("/audit-logs?action=query_answered&limit=1");
    let id = items(&answered)[0]["id"].as_i64().unwrap();
    let proof: InclusionProof = in_time(|| {
        let path = format!("/audit-logs/{id}/proof");
        let response = admin.request(Method::GET, &path).send().unwrap();
        (response.status() == StatusCode::OK).then(|| response.json().unwrap())
    });
    let sealing = admin.get("/audit-logs/seals");
    let public = sealing["keys"][0]["public_key"].as_str().unwrap();
    assert!(check_proof(&proof, public), "{proof:?}");
    assert_eq!(proof.seal.key_id, sealing["keys"][0]["key_id"]);
    let entry = admin.get(&format!("/audit-logs/{id}"));
    assert_eq!(entry["action"], "query_answered");
    assert!(proof.canonical.contains("query_answered"), "{proof:?}");
    let none = admin
        .request(Method::GET, "/audit-logs/999999")
        .send()
        .unwrap();
    problem(none, StatusCode::NOT_FOUND, "not_found");
    let later = admin.get("/audit-logs?since=2999-01-01T00:00:00Z");
    assert_eq!(items(&later).len(), 0);
    let bad = admin
        .request(Method::GET, "/audit-logs?since=yesterday")
        .send()
        .unwrap();
    problem(bad, StatusCode::BAD_REQUEST, "invalid_request");
    drop(server);

    let tail = fixture
        .run(&["audit", "tail", "-n", "3", "--json"])
        .expect_code(0);
    assert_eq!(tail.stdout().lines().count(), 3);
    let exported = fixture.run(&["audit", "export"]).expect_code(0).stdout();
    let exported: Vec<Value> = exported
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let seals = exported.iter().filter(|line| !line["seal"].is_null());
    let entries = exported.iter().filter(|line| !line["entry"].is_null());
    let (seals, entries) = (seals.count(), entries.count());
    assert!(
        seals > 0 && seals + entries == exported.len(),
        "{exported:?}"
    );

    let verify = |args: &[&str]| fixture.run(&[&["audit", "verify", "--json"], args].concat());
    let report = verify(&[]).expect_code(0).json();
    assert!(
        report["report"]["anchors"].as_u64().unwrap() > 0,
        "{report}"
    );
    assert_eq!(
        report["report"]["unsealed"], 0,
        "commands seal at their end"
    );

    let store = fixture.system_store();
    store
        .execute_batch(
            "DROP TRIGGER audit_logs_no_update; DROP TRIGGER audit_logs_no_delete;
             DROP TRIGGER audit_seals_no_delete;",
        )
        .unwrap();
    let tampered = |sql: &str, part: &str| {
        let before = fixture.data_dir().join("system.db");
        let kept = fixture.data_dir().join("kept.db");
        store
            .execute("VACUUM INTO ?1", [kept.display().to_string()])
            .unwrap();
        store.execute_batch(sql).unwrap();
        let ran: Ran = fixture.run(&["audit", "verify"]).expect_code(1);
        assert!(ran.stderr().contains(part), "{} lacks {part}", ran.stderr());
        let backup = rusqlite::Connection::open(&kept).unwrap();
        let mut here = rusqlite::Connection::open(&before).unwrap();
        rusqlite::backup::Backup::new(&backup, &mut here)
            .unwrap()
            .run_to_completion(100, Duration::ZERO, None)
            .unwrap();
        std::fs::remove_file(kept).unwrap();
    };
    tampered(
        &format!("UPDATE audit_logs SET action = 'query' WHERE id = {id}"),
        &format!("row {id} was changed"),
    );
    tampered(
        &format!("DELETE FROM audit_logs WHERE id = {id}"),
        "that seal",
    );
    tampered(
        "DELETE FROM audit_logs WHERE id >= (SELECT max(first_row) FROM audit_seals);
         DELETE FROM audit_seals WHERE number = (SELECT max(number) FROM audit_seals)",
        "stands in the anchor file and is gone",
    );
    verify(&[]).expect_code(0);
}
