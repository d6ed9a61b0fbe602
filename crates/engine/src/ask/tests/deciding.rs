//! Several statements for one question, and asking back.

use super::*;

/// A model that is sure of its first reply or not, and draws others.
struct Drawing {
    first: &'static str,
    least_logprob: f64,
    drawn: Vec<(&'static str, u32)>,
    asked: Mutex<Vec<Sampling>>,
    /// What each generation was told of the drawing to come.
    ahead: Mutex<Vec<Option<Ahead>>>,
}

impl Drawing {
    fn new(first: &'static str, least_logprob: f64, drawn: &[(&'static str, u32)]) -> Arc<Self> {
        Arc::new(Self {
            first,
            least_logprob,
            drawn: drawn.to_vec(),
            asked: Mutex::default(),
            ahead: Mutex::default(),
        })
    }

    fn generation(&self, text: &str, least_logprob: f64) -> Generation {
        Generation {
            text: text.into(),
            tokens: TokenCounts {
                generated: 10,
                ..TokenCounts::default()
            },
            is_complete: true,
            likelihood: Some(Likelihood {
                mean_logprob: least_logprob / 10.0,
                least_logprob,
            }),
        }
    }

    fn asked(&self) -> Vec<Sampling> {
        self.asked.lock().expect("no test panics with it").clone()
    }
}

#[async_trait]
impl Generator for Drawing {
    fn identity(&self) -> ModelIdentity {
        World::default().identity()
    }
    async fn generate(&self, _: &Prompt, limits: &GenerationLimits) -> Result<Generation, Error> {
        let mut ahead = self.ahead.lock().expect("no test panics with it");
        ahead.push(limits.ahead);
        Ok(self.generation(self.first, self.least_logprob))
    }
    async fn sample(
        &self,
        _: &Prompt,
        _: &GenerationLimits,
        sampling: &Sampling,
    ) -> Result<Vec<Candidate>, Error> {
        self.asked
            .lock()
            .expect("no test panics with it")
            .push(*sampling);
        if self.drawn.iter().any(|(text, _)| *text == "FAIL") {
            return Err(Error::new(Code::GeneratorFailed, "the model failed"));
        }
        let candidate = |&(text, drawn)| Candidate {
            generation: self.generation(text, -1.0),
            drawn,
        };
        Ok(self.drawn.iter().map(candidate).collect())
    }
}

/// Data in which a statement's rows are what it selects.
struct Echo(People);

#[async_trait]
impl TargetDatabase for Echo {
    async fn current(&self) -> Result<Arc<dyn TargetGeneration>, Error> {
        Ok(Arc::new(Echo(People::new())))
    }
}

#[async_trait]
impl TargetGeneration for Echo {
    fn schema(&self) -> &Arc<Schema> {
        self.0.schema()
    }
    fn provenance(&self) -> Provenance {
        self.0.provenance()
    }
    async fn query(&self, sql: &GuardedSql, limits: &QueryLimits) -> Result<ResultSet, Error> {
        if sql.text().contains("slow") {
            return Err(Error::new(
                Code::TargetQueryTimeout,
                "the SQL took too long",
            ));
        }
        if sql.text().contains("long") && limits.timeout < Duration::from_secs(10) {
            return Err(Error::new(
                Code::TargetQueryTimeout,
                "the SQL took longer than it may",
            ));
        }
        if sql.text().contains("wide") && limits.max_bytes < QueryLimits::default().max_bytes {
            return Err(Error::new(
                Code::ResultTooLarge,
                "the result has more bytes than it may",
            ));
        }
        let mut rows = self.0.query(sql, limits).await?;
        if sql.text().contains("count(") {
            rows.rows = vec![vec![Value::Integer(0)]];
            return Ok(rows);
        }
        // The case of a keyword makes another text, not another result.
        rows.rows = vec![vec![Value::Text(sql.text().to_lowercase())]];
        Ok(rows)
    }
    async fn each_row(
        &self,
        _: &GuardedSql,
        _: &QueryLimits,
        _: Box<dyn RowSink>,
    ) -> Result<RowsTaken, Error> {
        Err(down())
    }
    async fn find_values(
        &self,
        question: &str,
        visible: &Arc<VisibleSchema>,
        limit: usize,
    ) -> Result<FoundValues, Error> {
        self.0.find_values(question, visible, limit).await
    }
    async fn explain(&self, _: &GuardedSql, _: &QueryLimits) -> Result<Vec<PlanStep>, Error> {
        Ok(Vec::new())
    }
}

const NAMES: &str = "SELECT full_name FROM people";
const PAY: &str = "SELECT salary FROM people";
const SURE: f64 = -0.1;
const UNSURE: f64 = -3.0;

fn outcome(model: &Arc<Drawing>, settings: &AskSettings) -> (Arc<World>, Result<Outcome, Error>) {
    let world = Arc::new(World::default());
    let ports = AskPorts {
        generator: model.clone(),
        target: Arc::new(Echo(People::new())),
        ..ports(&world)
    };
    let question = Question::parse("Tell me about everybody, please").expect("a question");
    let (_abort, cancel) = AbortHandle::new_pair();
    let outcome = block_on(ask(
        &ports,
        settings,
        &actor(Role::Viewer),
        &question,
        &(),
        cancel,
    ));
    (world, outcome)
}

fn answer_of(model: &Arc<Drawing>) -> Answer {
    answered(outcome(model, &AskSettings::default()).1)
}

#[test]
fn a_first_statement_that_leaves_no_doubt_is_the_answer() {
    let model = Drawing::new(NAMES, SURE, &[(PAY, 4)]);
    let answer = answer_of(&model);
    assert_eq!(answer.sql, NAMES);
    assert_eq!((answer.signals.drawn, answer.signals.agreeing), (1, 1));
    assert_eq!(answer.signals.least_logprob, Some(SURE));
    assert!(model.asked().is_empty());
}

#[test]
fn what_most_of_several_statements_say_is_the_answer() {
    let model = Drawing::new(
        NAMES,
        UNSURE,
        &[
            (PAY, 1),
            ("select salary from people", 2),
            ("SELECT nothing", 1),
        ],
    );
    let answer = answer_of(&model);
    assert_eq!(answer.sql.to_lowercase(), PAY.to_lowercase());
    let signals = &answer.signals;
    // They do not agree, so more are drawn.
    assert_eq!((signals.drawn, signals.ran, signals.agreeing), (9, 7, 6));
    assert_eq!(
        answer.tokens.generated, 70,
        "what was drawn has its price too"
    );
    let asked = model.asked();
    assert_eq!((asked[0].count, asked[1].count), (3, 4));
    assert_eq!(asked[1].seed, asked[0].seed.wrapping_add(3));
    // The same prompt draws the same statements another day.
    answer_of(&model);
    assert_eq!(model.asked()[2..], asked);
}

#[test]
fn no_more_are_drawn_where_those_there_are_agree() {
    let model = Drawing::new(PAY, UNSURE, &[("select salary from people", 3)]);
    let signals = answer_of(&model).signals;
    assert_eq!((signals.drawn, signals.ran, signals.agreeing), (4, 4, 4));
    assert_eq!(model.asked().len(), 1);
    // One that cannot run agrees with none.
    let model = Drawing::new(PAY, UNSURE, &[(PAY, 2), ("SELECT nothing", 1)]);
    let signals = answer_of(&model).signals;
    assert_eq!((signals.drawn, signals.ran, signals.agreeing), (7, 5, 5));
    // A model that does not draw is not asked twice.
    let model = Drawing::new("SELECT nothing FROM nowhere", SURE, &[]);
    refused(outcome(&model, &AskSettings::default()).1);
    assert_eq!(model.asked().len(), 1);
}

#[test]
fn a_drawn_statement_that_fails_or_takes_too_long_does_no_harm() {
    let model = Drawing::new(
        NAMES,
        UNSURE,
        &[
            ("SELECT 'slow'", 2),
            ("DROP TABLE people", 1),
            ("no SQL", 1),
        ],
    );
    let answer = answer_of(&model);
    assert_eq!(answer.sql, NAMES);
    assert_eq!((answer.signals.drawn, answer.signals.ran), (9, 1));
}

/// The answer is there already; it is not lost because the model fails to draw more.
#[test]
fn a_model_that_fails_to_draw_costs_no_answer() {
    let model = Drawing::new(NAMES, UNSURE, &[("FAIL", 1)]);
    let answer = answer_of(&model);
    assert_eq!(answer.sql, NAMES);
    assert_eq!((model.asked().len(), answer.signals.drawn), (1, 1));
}

/// A generator that can begins with a drawing that comes in any case, and with none that may not.
#[test]
fn only_a_drawing_for_every_question_is_told_ahead() {
    let always = |first| {
        let model = Drawing::new(first, SURE, &[(PAY, 1), (NAMES, 1)]);
        let mut settings = AskSettings::default();
        settings.deciding.always = true;
        answered(outcome(&model, &settings).1);
        let ahead = model.ahead.lock().expect("no test panics with it").clone();
        (model.asked(), ahead)
    };
    let (asked, ahead) = always(NAMES);
    let told = |ahead: &Option<Ahead>| ahead.map(|ahead| ahead.sampling);
    assert_eq!(ahead.iter().map(told).collect::<Vec<_>>(), [Some(asked[0])]);
    // It is drawn before anything is repaired, which asks something else.
    let (asked, ahead) = always("SELECT nothing FROM nowhere");
    let told: Vec<_> = ahead.iter().map(told).collect();
    assert_eq!(told, [Some(asked[0]), None, None]);
    let model = Drawing::new(NAMES, UNSURE, &[(PAY, 1)]);
    answer_of(&model);
    assert_eq!(*model.ahead.lock().expect("no test panics with it"), [None]);
}

#[test]
fn nothing_is_drawn_where_that_is_switched_off() {
    let model = Drawing::new(NAMES, UNSURE, &[(PAY, 4)]);
    let mut settings = AskSettings::default();
    settings.deciding.candidates = 0;
    assert_eq!(answered(outcome(&model, &settings).1).sql, NAMES);
    assert!(model.asked().is_empty());
    // Nor more, where only that is.
    let model = Drawing::new(NAMES, UNSURE, &[(PAY, 3)]);
    let mut settings = AskSettings::default();
    settings.deciding.insists = false;
    let signals = answered(outcome(&model, &settings).1).signals;
    assert_eq!((signals.drawn, model.asked().len()), (4, 1));
}

#[test]
fn a_drawn_statement_saves_a_question_whose_first_one_never_runs() {
    let model = Drawing::new("SELECT nothing FROM nowhere", SURE, &[(PAY, 1), (NAMES, 1)]);
    let answer = answer_of(&model);
    // The receipt names the prompt that it was drawn from, not that of the last repair.
    let settled = answer_of(&Drawing::new(NAMES, SURE, &[]));
    assert_eq!(answer.receipt.prompt_hash, settled.receipt.prompt_hash);
    assert!([PAY, NAMES].contains(&answer.sql.as_str()));
    assert_eq!(answer.repairs, 2);
    // No repair is asked for that could not change what is chosen.
    let model = Drawing::new("SELECT nothing FROM nowhere", SURE, &[(PAY, 2)]);
    let answer = answer_of(&model);
    assert_eq!((answer.sql.as_str(), answer.repairs), (PAY, 0));
    assert_eq!((answer.signals.drawn, answer.signals.agreeing), (5, 4));
}

/// One that joins everything with everything is the model's slip like any other.
#[test]
fn a_drawn_statement_saves_a_question_whose_first_one_takes_too_long() {
    let model = Drawing::new("SELECT 'slow'", SURE, &[(PAY, 2)]);
    let answer = answer_of(&model);
    assert_eq!(answer.sql, PAY);
    let model = Drawing::new("SELECT 'slow'", SURE, &[("SELECT 'slow'", 3)]);
    let outcome = outcome(&model, &AskSettings::default()).1;
    assert_eq!(refused(outcome).error.code(), Code::TargetQueryTimeout);
}

/// What only speaks for or against an answer may not keep the data busy as long as the answer.
#[test]
fn a_drawn_statement_has_less_time_and_memory_than_the_first() {
    for much in ["SELECT 'long'", "SELECT 'wide'"] {
        let model = Drawing::new(much, SURE, &[]);
        assert_eq!(answer_of(&model).sql, much);
        let model = Drawing::new(NAMES, UNSURE, &[(much, 2)]);
        let signals = answer_of(&model).signals;
        assert_eq!((signals.drawn, signals.ran), (5, 1));
    }
}

/// A count of no rows is a row; it is as little as no rows.
#[test]
fn a_correction_that_counts_nothing_either_has_corrected_nothing() {
    let model = Drawing::new(
        "SELECT count(*) FROM people WHERE full_name = 'Wakanda'",
        SURE,
        &[],
    );
    let answer = answer_of(&model);
    let says = |texts: &[String]| texts.iter().any(|text| text.contains("no row matches"));
    assert!(says(&answer.doubts), "{answer:?}");
    assert!(!says(&answer.corrections), "{answer:?}");
    assert!(answer.sql.ends_with("= 'Wakanda'"), "{}", answer.sql);
}

/// Below the threshold of the role no row leaves, and the readings are offered.
#[test]
fn an_answer_that_is_not_sure_enough_is_asked_back_with_its_readings() {
    let model = Drawing::new(NAMES, UNSURE, &[(PAY, 2)]);
    let settings = AskSettings {
        thresholds: Thresholds {
            viewer: 1.0,
            ..Thresholds::NONE
        },
        ..AskSettings::default()
    };
    let (world, outcome) = outcome(&model, &settings);
    let refusal = refused(outcome);
    assert_eq!(refusal.error.code(), Code::TooUncertain);
    let readings: Vec<_> = refusal.choices.iter().map(|one| &*one.reading).collect();
    assert_eq!(readings, ["Salary of people.", "Full name of people."]);
    assert!(
        refusal
            .error
            .hint()
            .is_some_and(|hint| hint.contains("Salary of people."))
    );
    assert_eq!(world.log(), ["query", "query_refused too_uncertain"]);
    for threshold in [0.0, 0.05] {
        let settings = AskSettings {
            thresholds: Thresholds {
                viewer: threshold,
                analyst: 1.0,
                admin: 1.0,
            },
            ..AskSettings::default()
        };
        answered(self::outcome(&model, &settings).1);
    }
}

#[test]
fn a_reply_in_prose_is_asked_again_and_then_refused() {
    let world = Arc::new(World::replying(&["I would rather not."; 3]));
    let refusal = refused(run(&world, &AskSettings::default()));
    assert_eq!(refusal.fault, Code::GeneratorGaveNoSql);
    assert_eq!((refusal.repairs, refusal.sql), (2, None));
    assert_eq!(refusal.tokens.prompt, 30, "every attempt counts");
    let held = world.held.lock().expect("no test panics with it");
    assert_eq!(
        *held,
        [false, false, true],
        "only the last is held to the names"
    );
}
