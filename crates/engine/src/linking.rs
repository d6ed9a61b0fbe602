//! Schema linking: which tables a question needs, when a schema is too large to show whole.

use std::collections::HashSet;

use crate::policy::VisibleSchema;

/// Returns the indices of all visible tables, the likeliest first.
///
/// A table scores by the words of the question that occur in its name (3), in a column's name (2) or in a sample
/// value (1); a table that a scoring one refers to follows it closely, since it is likely to be joined. Ties keep the
/// order of the schema.
pub fn rank_tables(question: &str, visible: &VisibleSchema) -> Vec<usize> {
    let asked = words(question);
    let tables = visible.tables();
    let mut scores: Vec<f64> = tables
        .iter()
        .map(|table| {
            let named = overlap(&asked, &words(&table.name));
            let mut columns = 0;
            let mut values = 0;
            for column in &table.columns {
                columns += overlap(&asked, &words(&column.name));
                values += column
                    .samples
                    .iter()
                    .map(|sample| overlap(&asked, &words(sample)))
                    .sum::<usize>();
            }
            (3 * named + 2 * columns.min(6) + values.min(3)) as f64
        })
        .collect();
    let own = scores.clone();
    for (index, table) in tables.iter().enumerate() {
        for key in &table.foreign_keys {
            if let Some(other) = tables
                .iter()
                .position(|table| table.name.eq_ignore_ascii_case(&key.table))
            {
                scores[other] = scores[other].max(own[index] * 0.5);
                scores[index] = scores[index].max(own[other] * 0.25);
            }
        }
    }
    let mut order: Vec<usize> = (0..tables.len()).collect();
    order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]).then(a.cmp(&b)));
    order
}

/// Splits text into lower-case words without a plural ending; `CamelCase` and `snake_case` are taken apart.
fn words(text: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut word = String::new();
    let mut before_is_lower = false;
    for c in text.chars().chain([' ']) {
        let starts_word = c.is_uppercase() && before_is_lower;
        if (!c.is_alphanumeric() || starts_word) && !word.is_empty() {
            found.insert(singular(&std::mem::take(&mut word)));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        before_is_lower = c.is_lowercase();
    }
    found
}

fn singular(word: &str) -> String {
    match word {
        _ if word.len() > 4 && word.ends_with("ies") => format!("{}y", &word[..word.len() - 3]),
        _ if word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") => {
            word[..word.len() - 1].to_owned()
        }
        _ => word.to_owned(),
    }
}

fn overlap(asked: &HashSet<String>, there: &HashSet<String>) -> usize {
    there
        .iter()
        .filter(|word| word.len() > 1 && asked.contains(*word))
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Visibility;
    use crate::schema::{Column, ForeignKey, Schema, Table, TableKind};

    #[test]
    fn tables_named_in_the_question_come_first_and_their_partners_next() {
        let table = |name: &str, columns: &[&str], refers_to: &[&str]| Table {
            name: name.into(),
            kind: TableKind::Table,
            columns: columns
                .iter()
                .map(|name| Column {
                    name: (*name).into(),
                    ..Column::default()
                })
                .collect(),
            primary_key: vec![],
            foreign_keys: refers_to
                .iter()
                .map(|other| ForeignKey {
                    columns: vec![columns[0].into()],
                    table: (*other).into(),
                    referenced: vec!["id".into()],
                    inferred: false,
                })
                .collect(),
            row_count: None,
            ddl: String::new(),
            reads: vec![],
        };
        let schema = Schema {
            tables: vec![
                table("logs", &["id"], &[]),
                table("regions", &["id", "label"], &[]),
                table("SalesOrders", &["region_id", "amount"], &["regions"]),
            ],
        };
        let visible = VisibleSchema::new(&schema, &Visibility::everything());
        assert_eq!(
            rank_tables("Total amount of sales orders?", &visible),
            vec![2, 1, 0]
        );
    }
}
