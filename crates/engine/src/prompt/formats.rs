//! Other ways to write a schema into a prompt, to measure ours against.

use super::{Prompt, examples, shorten};
use crate::policy::VisibleSchema;
use crate::schema::{Column, ForeignKey, Table};

/// How the schema is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SchemaFormat {
    /// `CREATE TABLE` with a few values as comments: the product's.
    #[default]
    Commented,
    /// `CREATE TABLE` as stored, without values.
    Stored,
    /// One line for each table.
    Lines,
    /// M-Schema, of XiYan-SQL (Gao et al., arXiv 2411.08599): one line for each column, with values in brackets, and the
    /// joins at the end.
    MSchema,
}

/// Writes the schema of a prompt anew in a format, if it was written whole: for a model that may see values.
pub fn in_format(prompt: Prompt, visible: &VisibleSchema, format: SchemaFormat) -> Prompt {
    let tables = visible.tables();
    let schema = match format {
        SchemaFormat::Commented => return prompt,
        SchemaFormat::Stored => tables
            .iter()
            .map(|table| format!("{};\n\n", table.ddl))
            .collect(),
        SchemaFormat::Lines => tables.iter().map(line).collect::<String>() + "\n",
        SchemaFormat::MSchema => m_schema(tables),
    };
    Prompt { schema, ..prompt }
}

/// `orders(id INTEGER key, customer_id INTEGER -> customers.id, status TEXT 'open' 'shipped')`
fn line(table: &Table) -> String {
    let columns = table.columns.iter().map(|column| {
        let mut text = format!("{} {}", column.name, column.declared_type);
        if table.primary_key.contains(&column.name) {
            text.push_str(" key");
        }
        for key in joins_of(table, column) {
            text.push_str(&format!(" -> {}.{}", key.table, key.referenced[0]));
        }
        let samples = examples(column);
        text + samples.trim_end_matches(", ...").trim_start_matches(" --")
    });
    let columns: Vec<String> = columns.collect();
    format!("{}({})\n", table.name, columns.join(", "))
}

fn joins_of<'t>(table: &'t Table, column: &Column) -> impl Iterator<Item = &'t ForeignKey> {
    let name = column.name.clone();
    let keys = table.foreign_keys.iter();
    keys.filter(move |key| key.columns == [name.as_str()] && key.referenced.len() == 1)
}

fn m_schema(tables: &[Table]) -> String {
    let mut text = String::from("【Schema】\n");
    for table in tables {
        text.push_str(&format!("# Table: {}\n[\n", table.name));
        let columns = table.columns.iter().map(|column| {
            let mut line = format!("({}:{}", column.name, column.declared_type);
            if table.primary_key.contains(&column.name) {
                line.push_str(", Primary Key");
            }
            let samples = column.samples.iter().take(3);
            let samples: Vec<String> = samples.map(|sample| shorten(sample, 30)).collect();
            if !samples.is_empty() {
                line.push_str(&format!(", Examples: [{}]", samples.join(", ")));
            }
            line + ")"
        });
        text.push_str(&columns.collect::<Vec<_>>().join(",\n"));
        text.push_str("\n]\n");
    }
    text.push_str("【Foreign keys】\n");
    for table in tables {
        for column in &table.columns {
            for key in joins_of(table, column) {
                let (from, to) = (&table.name, &key.table);
                text.push_str(&format!(
                    "{from}.{}={to}.{}\n",
                    column.name, key.referenced[0]
                ));
            }
        }
    }
    text
}
