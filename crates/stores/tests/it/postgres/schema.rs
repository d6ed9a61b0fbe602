//! Each table of the design has each column of the design, of its type.

use std::collections::BTreeMap;

use super::*;

/// Table, column, type and what else the design says of it, in the order of the design.
const DESIGN: &str = "
    users id bigint
    users email text
    users password_hash text
    users full_name text
    users role text
    users is_active boolean
    users created_at timestamp with time zone
    users updated_at timestamp with time zone
    users last_login timestamp with time zone
    users last_query_at timestamp with time zone
    queries id bigint
    queries user_id bigint
    queries sql text
    queries status text
    queries result_count bigint
    queries created_at timestamp with time zone
    queries executed_at timestamp with time zone
    feedback id bigint
    feedback query_id bigint
    feedback user_id bigint
    feedback rating smallint
    feedback comment text
    feedback created_at timestamp with time zone
    audit_logs id bigint
    audit_logs user_id bigint
    audit_logs action text
    audit_logs resource text
    audit_logs changes jsonb
    audit_logs timestamp timestamp with time zone
    configurations id bigint
    configurations key text
    configurations value text
    configurations description text
    configurations updated_at timestamp with time zone
    business_ontologies id bigint
    business_ontologies term_name text
    business_ontologies description text
    business_ontologies synonyms text[]
    business_ontologies data_source text
    business_ontologies owner text
";

#[tokio::test]
async fn every_table_of_the_design_has_its_columns() {
    let Some(database) = services::postgres().await else {
        return;
    };
    let rows = query(
        "SELECT table_name::text, column_name::text,
             CASE data_type WHEN 'ARRAY' THEN ltrim(udt_name, '_') || '[]' ELSE data_type END
         FROM information_schema.columns WHERE table_schema = 'public'",
    )
    .fetch_all(&mut database.connect().await)
    .await
    .unwrap();
    let found: BTreeMap<(String, String), String> = rows
        .iter()
        .map(|row| ((row.get(0), row.get(1)), row.get(2)))
        .collect();
    for line in DESIGN
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        let mut words = line.splitn(3, ' ').map(str::to_owned);
        let column = (words.next().unwrap(), words.next().unwrap());
        assert_eq!(found.get(&column), words.next().as_ref(), "{line}");
    }
}

#[tokio::test]
async fn the_design_s_keys_and_enumerations_hold() {
    let Some(database) = services::postgres().await else {
        return;
    };
    let mut raw = database.connect().await;
    let user = "INSERT INTO users (email, email_folded, password_hash, full_name, role, created_at, updated_at) VALUES";
    execute(
        &mut raw,
        &format!("{user} ('a@x', 'a@x', 'h', 'A', 'viewer', now(), now())"),
    )
    .await
    .unwrap();
    execute(
        &mut raw,
        "INSERT INTO queries (user_id, status, instance_id, lease_until, created_at)
         VALUES (1, 'pending', 'one', now(), now());
         INSERT INTO configurations (key, value, updated_at) VALUES ('k', 'v', now())",
    )
    .await
    .unwrap();
    for (constraint, sql) in [
        ("users_email_taken", format!("{user} ('A@x', 'a@x', 'h', 'A', 'viewer', now(), now())")),
        ("users_role_check", format!("{user} ('b@x', 'b@x', 'h', 'B', 'owner', now(), now())")),
        ("queries_status_check", "UPDATE queries SET status = 'done'".into()),
        ("queries_user_id_fkey", "UPDATE queries SET user_id = 9".into()),
        (
            "feedback_rating_check",
            "INSERT INTO feedback (query_id, user_id, rating, created_at) VALUES (1, 1, 6, now())".into(),
        ),
        (
            "feedback_query_id_fkey",
            "INSERT INTO feedback (query_id, user_id, rating, created_at) VALUES (9, 1, 5, now())".into(),
        ),
        (
            "audit_logs_user_id_fkey",
            "INSERT INTO audit_logs (user_id, action, resource, changes, timestamp, canonical, hash)
             VALUES (9, 'a', 'r', '{}', now(), '', sha256(''))"
                .into(),
        ),
        (
            "configurations_key_key",
            "INSERT INTO configurations (key, value, updated_at) VALUES ('k', 'v', now())".into(),
        ),
    ] {
        let fault = execute(&mut raw, &sql).await.unwrap_err();
        let broken = fault.as_database_error().and_then(|fault| fault.constraint());
        assert_eq!(broken, Some(constraint), "{fault}");
    }
}

/// Every text but NUL, which PostgreSQL cannot hold, comes back as it was; NUL comes back as U+FFFD, everywhere.
#[tokio::test]
async fn every_text_is_stored_and_found() {
    use engine::configuration::NewConfiguration;
    use engine::ontology::NewTerm;
    use engine::ports::{
        AuditLog, Configurations, FinishedQuery, Ontologies, PageRequest, Queries, QueryFilter,
    };
    use engine::question::Receipt;

    let Some(database) = services::postgres().await else {
        return;
    };
    let store = database.store().await;
    let ada = ada(&store).await;
    let odd = "a\0b \u{1f980}\u{202e} e\u{301} \u{fdd0} \u{10ffff} 'q' \"d\" \\ %_ $1";
    let kept = odd.replace('\0', "\u{fffd}");
    let asked = question(ada, odd);
    let begun = store.begin_query(&asked, &entry("query")).await;
    let id = begun.unwrap().id;
    let finished = FinishedQuery {
        understood_as: Some(odd.into()),
        sql: Some(odd.into()),
        error: Some(("invalid_sql".into(), odd.into())),
        result_count: Some(u64::MAX),
        duration_ms: 1,
        generator: Some(odd.into()),
        cached: true,
        target_fingerprint: Some(odd.into()),
        receipt: Some(Receipt {
            question: odd.into(),
            sql: odd.into(),
            copy_fingerprint: "c".into(),
            schema_fingerprint: "s".into(),
            visible_schema_hash: "v".into(),
            model_hash: "m".into(),
            prompt_hash: "p".into(),
            row_count: 1,
            result_hash: "r".into(),
        }),
    };
    let outcome = AuditEntry::new(
        at(0),
        Some(ada),
        "query_failed",
        "query",
        json!({ odd: odd }),
    );
    store.finish_query(id, &finished, &outcome).await.unwrap();
    let record = store.query_record(id).await.unwrap().unwrap();
    assert_eq!(record.question.as_ref(), Some(&kept));
    assert_eq!(record.sql.as_ref(), Some(&kept));
    assert_eq!(record.error_message.as_ref(), Some(&kept));
    assert_eq!(record.receipt.unwrap()["question"], json!(kept));
    let search = QueryFilter {
        search: Some(odd.into()),
        ..QueryFilter::default()
    };
    let page = store.queries(&search, PageRequest::first(10)).await;
    assert_eq!(page.unwrap().items.len(), 1);
    let last = store.stored_entries(0, 10).await.unwrap().pop().unwrap();
    assert!(last.is_consistent());
    assert_eq!(last.record.changes, json!({ &kept: kept }));

    let term = NewTerm {
        term_name: odd.into(),
        description: odd.into(),
        synonyms: vec![odd.into(), String::new()],
        data_source: Some(odd.into()),
        owner: Some(odd.into()),
    };
    let id = store.create_term(&term, &entry("term_created")).await;
    let term = store.term(id.unwrap()).await.unwrap().unwrap();
    assert_eq!(
        (&term.term_name, &term.synonyms),
        (&kept, &vec![kept.clone(), String::new()])
    );
    let setting = NewConfiguration {
        key: odd.into(),
        value: odd.into(),
        description: Some(odd.into()),
        is_secret: false,
    };
    store
        .set_configuration(&setting, &entry("configuration_set"))
        .await
        .unwrap();
    assert_eq!(store.configuration(odd).await.unwrap().unwrap().value, kept);
    assert_eq!(store.user_by_email("a\0b@x").await, Ok(None));
}

/// The database folds only ASCII under the locale "C"; names are folded before they come to it.
#[tokio::test]
async fn names_compare_without_regard_to_case_in_every_locale() {
    use engine::Code;

    let Some(database) = services::postgres().await else {
        return;
    };
    let store = database.store().await;
    let user = |email: &str| NewUser {
        email: Email::parse(email).unwrap(),
        password_hash: "hash".into(),
        full_name: "É".into(),
        role: Role::Viewer,
    };
    let created = entry("user_created");
    let id = store
        .create_user(&user("Élodie@x"), &created)
        .await
        .unwrap();
    let again = store.create_user(&user("éLODIE@X"), &created).await;
    assert_eq!(again.unwrap_err().code(), Code::EmailTaken);
    let found = store.user_by_email("ÉLODIE@X").await.unwrap().unwrap();
    assert_eq!((found.id, found.email.as_str()), (id, "Élodie@x"));
}

/// Whoever writes the rows, also one who has silenced ordinary triggers.
#[tokio::test]
async fn each_statement_that_changes_a_table_gives_it_a_new_version_and_others_none() {
    let Some(database) = services::postgres().await else {
        return;
    };
    let store = database.store().await;
    let mut raw = database.connect().await;
    execute(&mut raw, "SET session_replication_role TO replica")
        .await
        .unwrap();
    let mut before = store.situation(Role::Viewer).await.unwrap();
    let at = "created_at, updated_at) VALUES";
    for (sql, is_of_terms) in [
        (
            format!(
                "INSERT INTO verified_queries (question, sql, status, {at} ('q', 's', 'proposed', now(), now())"
            ),
            false,
        ),
        (
            "UPDATE verified_queries SET status = 'approved'".into(),
            false,
        ),
        ("DELETE FROM verified_queries".into(), false),
        ("TRUNCATE verified_queries".into(), false),
        (
            format!(
                "INSERT INTO business_ontologies (term_name, term_folded, description, {at} ('t', 't', '', now(), now())"
            ),
            true,
        ),
        ("UPDATE business_ontologies SET owner = 'o'".into(), true),
        ("DELETE FROM business_ontologies".into(), true),
        ("TRUNCATE business_ontologies".into(), true),
    ] {
        execute(&mut raw, &sql).await.unwrap();
        let after = store.situation(Role::Viewer).await.unwrap();
        assert_eq!(after.terms != before.terms, is_of_terms, "{sql}");
        assert_eq!(
            after.verified_queries == before.verified_queries,
            is_of_terms,
            "{sql}"
        );
        before = after;
    }
}
