//! SQLite's own functions again, where SQLite's take time that grows with the square of what they are given: within
//! one opcode, where no deadline reaches. Here they take time that grows with the text, or are refused what is too
//! long. What comes out is the same.

use std::collections::HashSet;
use std::sync::Mutex;

use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use rusqlite::{Connection, Error, ffi};

use super::connection::VALUE_BYTES;

/// The product of the lengths that SQLite's own function is given at most: a few tenths of a second.
const MAX_PRODUCT: usize = 1 << 32;

/// By this SQLite's JSON functions know one another's results from ordinary text.
const JSON: u32 = b'J' as u32;

/// Replaces the functions on one connection.
pub(super) fn install(connection: &Connection) -> rusqlite::Result<()> {
    type Fast = fn(&[&str]) -> rusqlite::Result<Value>;
    let replaced: [(&str, i32, Option<Fast>); 9] = [
        ("instr", 2, Some(instr)),
        ("replace", 3, Some(replace)),
        ("trim", 2, Some(|texts| trim(texts, true, true))),
        ("ltrim", 2, Some(|texts| trim(texts, true, false))),
        ("rtrim", 2, Some(|texts| trim(texts, false, true))),
        ("unhex", 2, None),
        ("json_patch", 2, None),
        ("jsonb_patch", 2, None),
        ("json_pretty", 2, None),
    ];
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS
        | FunctionFlags::SQLITE_RESULT_SUBTYPE;
    for (name, arguments, fast) in replaced {
        let original = Original::of(name, arguments)?;
        let subtype = (name == "json_patch").then_some(JSON);
        connection.create_scalar_function(
            name,
            arguments,
            flags,
            move |context: &Context<'_>| {
                let mut texts = [""; 3];
                let mut are_texts = true;
                for (index, text) in texts.iter_mut().enumerate().take(context.len()) {
                    match context.get_raw(index) {
                        // Of the first alone: `replace(x, '', NULL)` is x.
                        ValueRef::Null if index == 0 && fast.is_some() => {
                            return Ok((Value::Null, None));
                        }
                        ValueRef::Text(bytes) => match std::str::from_utf8(bytes) {
                            // SQLite's functions do not agree among themselves on what follows a NUL.
                            Ok(valid) if !bytes.contains(&0) => *text = valid,
                            _ => are_texts = false,
                        },
                        _ => are_texts = false,
                    }
                }
                let value = match fast {
                    Some(fast) if are_texts => fast(&texts[..context.len()])?,
                    _ => original.call(context)?,
                };
                Ok((value, subtype))
            },
        )?;
    }
    Ok(())
}

/// SQLite's own function, called for numbers, blobs and all that is rare, so that they come out in the same way.
struct Original {
    sql: String,
    connection: Mutex<Option<Connection>>,
}

impl Original {
    fn of(name: &str, arguments: i32) -> rusqlite::Result<Self> {
        let parameters: Vec<String> = (1..=arguments).map(|number| format!("?{number}")).collect();
        Ok(Self {
            sql: format!("SELECT {name}({})", parameters.join(", ")),
            connection: Mutex::new(None),
        })
    }

    fn call(&self, context: &Context<'_>) -> rusqlite::Result<Value> {
        let lengths = (0..context.len()).map(|index| match context.get_raw(index) {
            ValueRef::Text(bytes) | ValueRef::Blob(bytes) => bytes.len(),
            _ => 1,
        });
        if lengths.fold(1_usize, |product, length| {
            product.saturating_mul(length.max(1))
        }) > MAX_PRODUCT
        {
            return Err(too_big());
        }
        let values = (0..context.len()).map(|index| ToSqlOutput::Borrowed(context.get_raw(index)));
        let mut kept = self
            .connection
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let connection = match kept.take() {
            Some(connection) => connection,
            None => Connection::open_in_memory()?,
        };
        let result = connection
            .prepare_cached(&self.sql)
            .and_then(|mut statement| {
                statement.query_row(rusqlite::params_from_iter(values), owned)
            });
        *kept = Some(connection);
        result
    }
}

/// Returns the first column of a row. Text that is not UTF-8 is mended, as it is in every result.
fn owned(row: &rusqlite::Row<'_>) -> rusqlite::Result<Value> {
    Ok(match row.get_ref(0)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(bytes) => Value::Text(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_vec()),
    })
}

/// Returns where the second text begins in the first, in characters from 1; 0 if it does not occur.
fn instr(texts: &[&str]) -> rusqlite::Result<Value> {
    let [text, part] = texts else {
        return Err(Error::InvalidQuery);
    };
    let position = text
        .find(part)
        .map_or(0, |byte| text[..byte].chars().count() + 1);
    Ok(Value::Integer(position as i64))
}

/// Returns the first text with every occurrence of the second exchanged for the third.
fn replace(texts: &[&str]) -> rusqlite::Result<Value> {
    let [text, part, by] = texts else {
        return Err(Error::InvalidQuery);
    };
    if part.is_empty() {
        return Ok(Value::Text((*text).to_owned()));
    }
    // Before anything is allocated: a text of a million characters can become a million times as long.
    let count = text.matches(part).count();
    if text.len() - count * part.len() + count.saturating_mul(by.len()) > VALUE_BYTES as usize {
        return Err(too_big());
    }
    Ok(Value::Text(text.replace(part, by)))
}

/// Returns the first text without the characters of the second at its ends.
fn trim(texts: &[&str], from_start: bool, from_end: bool) -> rusqlite::Result<Value> {
    let [text, characters] = texts else {
        return Err(Error::InvalidQuery);
    };
    let mut kept = *text;
    let mut cut = |is_cut: &dyn Fn(char) -> bool| {
        if from_start {
            kept = kept.trim_start_matches(is_cut);
        }
        if from_end {
            kept = kept.trim_end_matches(is_cut);
        }
    };
    if characters.len() <= 16 {
        cut(&|character| characters.contains(character));
    } else {
        let set: HashSet<char> = characters.chars().collect();
        cut(&|character| set.contains(&character));
    }
    Ok(Value::Text(kept.to_owned()))
}

fn too_big() -> Error {
    Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_TOOBIG), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CALLS: [&str; 10] = [
        "instr(?1, ?2)",
        "replace(?1, ?2, ?3)",
        "trim(?1, ?2)",
        "ltrim(?1, ?2)",
        "rtrim(?1, ?2)",
        "unhex(?1, ?2)",
        "json_patch(?1, ?2)",
        "hex(jsonb_patch(?1, ?2))",
        "json_array(json_patch(?1, ?2))",
        "json_array(json_pretty(?1, ?2))",
    ];

    fn outcome(connection: &Connection, call: &str, values: &[Value]) -> Result<Value, String> {
        let used = if call.contains("?3") { 3 } else { 2 };
        connection
            .prepare_cached(&format!("SELECT {call}"))
            .and_then(|mut statement| {
                statement.query_row(rusqlite::params_from_iter(&values[..used]), owned)
            })
            .map_err(|error| error.to_string())
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            "[abä€ ]{0,6}".prop_map(Value::Text),
            "[ab\0]{0,3}".prop_map(Value::Text),
            (-120_i64..120).prop_map(Value::Integer),
            (-3.0_f64..3.0).prop_map(Value::Real),
            proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), any::<u8>()], 0..4)
                .prop_map(Value::Blob),
            Just(Value::Text("{\"a\":{\"b\":1}}".to_owned())),
            Just(Value::Text("616263".to_owned())),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn every_function_answers_as_sqlites_own(values in [value(), value(), value()]) {
            thread_local! {
                static PAIR: (Connection, Connection) = {
                    let ours = Connection::open_in_memory().expect("a database");
                    install(&ours).expect("functions");
                    (ours, Connection::open_in_memory().expect("a database"))
                };
            }
            PAIR.with(|(ours, theirs)| {
                for call in CALLS {
                    let (own, native) = (outcome(ours, call, &values), outcome(theirs, call, &values));
                    assert_eq!(own, native, "{call} of {values:?}");
                }
            });
        }
    }
}
