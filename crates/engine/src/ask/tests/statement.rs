use super::*;

#[test]
fn a_viewer_may_not_run_sql_and_the_attempt_is_recorded() {
    let world = Arc::new(World::default());
    let attempt = |role| {
        let (_abort, cancel) = AbortHandle::new_pair();
        let sql = GeneratedSql::new("SELECT full_name FROM people");
        block_on(run_sql(
            &ports(&world),
            &AskSettings::default(),
            &actor(role),
            &sql,
            cancel,
        ))
    };
    assert_eq!(
        attempt(Role::Viewer).map_err(|error| error.code()),
        Err(Code::RoleTooLow)
    );
    assert_eq!(world.log(), ["query", "query_failed role_too_low"]);
    assert_eq!(answered(attempt(Role::Analyst)).rows.len(), 1);
}
