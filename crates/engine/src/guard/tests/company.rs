//! The company of `corpus/schema.sql` and the lines of the corpora, read without a database.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlite3_parser::ast::{Cmd, ColumnConstraint, CreateTableBody, Stmt};
use sqlite3_parser::lexer::sql::Parser;
use sqlite3_parser::{Bump, FallibleIterator};

use crate::guard::names::decode;
use crate::policy::{Visibility, VisibleSchema};
use crate::schema::{Column, ColumnRef, ForeignKey, Schema, Table, TableKind};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// The company, read from its DDL with the guard's own parser.
fn company() -> Schema {
    let ddl =
        std::fs::read_to_string(corpus().join("schema.sql")).expect("the corpus has its schema");
    let arena = Bump::new();
    let mut parser = Parser::new(&arena, ddl.as_bytes());
    let mut tables = Vec::new();
    while let Some(command) = parser.next().expect("the schema parses") {
        let text = command.to_string();
        let Cmd::Stmt(statement) = command else {
            continue;
        };
        let columns = |names: &[&str]| {
            names
                .iter()
                .map(|name| column(name, ""))
                .collect::<Vec<_>>()
        };
        match statement {
            Stmt::CreateTable { tbl_name, body, .. } => {
                let mut table = table(&decode(tbl_name.name.0), TableKind::Table, text);
                if let CreateTableBody::ColumnsAndConstraints { columns, .. } = body {
                    for own in columns.iter() {
                        let declared = own.col_type.as_ref().map_or("", |kind| kind.name);
                        table
                            .columns
                            .push(column(&decode(own.col_name.0), declared));
                        let name = table.columns[table.columns.len() - 1].name.clone();
                        for constraint in own.constraints {
                            match &constraint.constraint {
                                ColumnConstraint::PrimaryKey { .. } => {
                                    table.primary_key.push(name.clone())
                                }
                                ColumnConstraint::ForeignKey { clause, .. } => {
                                    table.foreign_keys.push(ForeignKey {
                                        columns: vec![name.clone()],
                                        table: clause.tbl_name.0.to_owned(),
                                        referenced: vec!["id".into()],
                                        inferred: false,
                                    })
                                }
                                _ => {}
                            }
                        }
                    }
                }
                tables.push(table);
            }
            Stmt::CreateView { view_name, .. } => {
                let mut view = table(view_name.name.0, TableKind::View, text);
                let (names, base): (&[&str], _) = match view_name.name.0 {
                    "pay" => (&["name", "salary"], "people"),
                    _ => (&["customer_id", "order_count", "total"], "orders"),
                };
                view.columns = columns(names);
                view.reads = vec![ColumnRef {
                    table: base.into(),
                    column: names[names.len() - 1].into(),
                }];
                tables.push(view);
            }
            Stmt::CreateVirtualTable { tbl_name, args, .. } => {
                let mut found = table(tbl_name.name.0, TableKind::Virtual, text);
                found.columns = columns(args.unwrap_or_default());
                tables.push(found);
            }
            _ => {}
        }
    }
    assert_eq!(tables.len(), 10, "two teams, people, secrets and so on");
    Schema { tables }
}

fn table(name: &str, kind: TableKind, ddl: String) -> Table {
    Table {
        name: name.into(),
        kind,
        columns: vec![],
        primary_key: vec![],
        foreign_keys: vec![],
        row_count: None,
        ddl,
        reads: vec![],
    }
}

fn column(name: &str, declared_type: &str) -> Column {
    Column {
        name: name.into(),
        declared_type: declared_type.into(),
        ..Column::default()
    }
}

/// What the actor of the corpora may see.
pub(crate) fn visible() -> Arc<VisibleSchema> {
    let hidden = std::fs::read_to_string(corpus().join("hidden.txt"))
        .expect("the corpus says what is hidden");
    VisibleSchema::new(&company(), &Visibility::hiding(hidden.lines()))
}

/// Every line of a folder of the corpus as `(file, first line of the file, text)`.
pub(crate) fn lines(folder: &str) -> Vec<(String, String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(corpus().join(folder))
        .expect("the corpus has this folder")
        .map(|entry| entry.expect("a readable folder").path())
        .collect();
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let name = file
            .file_name()
            .expect("a file")
            .to_string_lossy()
            .into_owned();
        let heading = text.lines().next().unwrap_or("").to_owned();
        for line in text
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("-- "))
        {
            found.push((name.clone(), heading.clone(), decoded(line)));
        }
    }
    found
}

/// Decodes a line as corpus/README.md says.
fn decoded(line: &str) -> String {
    let mut plain = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let escape = &rest[at + 1..];
        let (text, length) = match escape.chars().next() {
            Some('n') => ('\n', 1),
            Some('r') => ('\r', 1),
            Some('t') => ('\t', 1),
            Some('0') => ('\0', 1),
            Some('\\') => ('\\', 1),
            Some('u') => {
                let end = escape.find('}').expect("a closed escape");
                let code = u32::from_str_radix(&escape[2..end], 16).expect("a hexadecimal number");
                (char::from_u32(code).expect("a code point"), end + 1)
            }
            other => panic!("unknown escape {other:?} in {line}"),
        };
        plain.push(text);
        rest = &escape[length..];
    }
    plain.push_str(rest);
    let mut whole = String::new();
    let mut rest = plain.as_str();
    while let Some(at) = rest.find("{repeat:") {
        whole.push_str(&rest[..at]);
        let body = &rest[at + "{repeat:".len()..];
        let end = body.find('}').expect("a closed repetition");
        let (count, text) = body[..end].split_once(':').expect("a count and a text");
        whole.push_str(&text.repeat(count.parse().expect("a number")));
        rest = &body[end + 1..];
    }
    whole + rest
}
