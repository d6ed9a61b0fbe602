use std::io::Read;

use super::*;

fn written(format: Format, columns: &[(&str, &str)], rows: &[Vec<Value>]) -> Vec<u8> {
    let scratch = tempfile::tempdir().unwrap();
    let mut file = file(scratch.path()).unwrap();
    let names: Vec<String> = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
    let typed: Vec<ResultColumn> = columns
        .iter()
        .map(|(name, kind)| ResultColumn {
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
        })
        .collect();
    let mut sink = format.sink(file.try_clone().unwrap(), Some(&typed), scratch.path());
    sink.begin(&names).unwrap();
    for row in rows {
        sink.row(row).unwrap();
    }
    sink.end().unwrap();
    drop(sink);
    let size = rewind(&mut file).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, size);
    bytes
}

fn text_of(value: &str) -> Value {
    Value::Text(value.into())
}

#[test]
fn a_spreadsheet_runs_nothing_that_a_csv_file_holds() {
    let rows: Vec<Vec<Value>> = [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "a=1",
        "say \"hi\", you",
        "two\nlines",
        "a;=1;b",
        "a;b",
        "x\n=1\t@1",
        "it's; -1",
        "",
    ]
    .into_iter()
    .map(|text| vec![text_of(text), Value::Integer(-5), Value::Null])
    .collect();
    let bytes = written(
        Format::Csv,
        &[("=name", "text"), ("n", "integer"), ("x", "null")],
        &rows,
    );
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        "\"'=name\",n,x\r\n\"'=1+1\",-5,\r\n\"'+1\",-5,\r\n\"'-1\",-5,\r\n\"'@SUM(A1)\",-5,\r\n\"'\t'=1\",-5,\r\n\
         \"'\r'=1\",-5,\r\na=1,-5,\r\n\"say \"\"hi\"\", you\",-5,\r\n\"two\nlines\",-5,\r\n\"a;'=1;b\",-5,\r\na;b,-5,\r\n\
         \"x\n'=1\t'@1\",-5,\r\nit's; -1,-5,\r\n,-5,\r\n"
    );
}

#[test]
fn json_is_one_object_whatever_the_rows() {
    let read = |rows: &[Vec<Value>]| -> serde_json::Value {
        let columns = [("a", "mixed"), ("a", "real")];
        serde_json::from_slice(&written(Format::Json, &columns, rows)).unwrap()
    };
    assert_eq!(
        read(&[]),
        serde_json::json!({ "columns": ["a", "a"], "rows": [] })
    );
    let rows = [
        vec![text_of("x\"\n"), Value::Real(f64::INFINITY)],
        vec![Value::Blob(vec![0, 255]), Value::Null],
    ];
    assert_eq!(
        read(&rows)["rows"],
        serde_json::json!([["x\"\n", "Infinity"], ["x'00ff'", null]])
    );
}

#[test]
fn a_workbook_has_texts_as_texts_and_no_number_that_excel_would_change() {
    let rows = [
        vec![text_of("=1+1"), Value::Integer(3)],
        vec![text_of("Müller & <Söhne>"), Value::Integer(i64::MAX)],
        vec![Value::Null, Value::Real(0.1)],
        vec![text_of(&"x".repeat(40_000)), Value::Real(f64::NEG_INFINITY)],
        vec![Value::Null, Value::Integer(i64::MIN)],
    ];
    let bytes = written(Format::Xlsx, &[("name", "text"), ("n", "mixed")], &rows);
    let sheet = part(&bytes, "xl/worksheets/sheet1.xml");
    assert!(!sheet.contains("<f>"), "{sheet:.400}");
    assert!(sheet.contains("<t>=1+1</t>"), "{sheet:.400}");
    assert!(sheet.contains("Müller &amp; &lt;Söhne&gt;"));
    assert!(sheet.contains("<t>9223372036854775807</t>"));
    assert!(sheet.contains("<t>-9223372036854775808</t>"));
    assert!(sheet.contains("<v>0.1</v>"));
    assert!(sheet.contains("<t>-Infinity</t>"));
    assert!(sheet.contains("xx…</t>"));
}

/// Reads one file out of a workbook, which is a ZIP archive.
fn part(archive: &[u8], name: &str) -> String {
    let mut archive = zip::ZipArchive::new(io::Cursor::new(archive)).unwrap();
    let mut text = String::new();
    archive
        .by_name(name)
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    text
}

const KINDS: [(&str, &str); 5] = [
    ("n", "integer"),
    ("x", "real"),
    ("t", "text"),
    ("b", "blob"),
    ("m", "mixed"),
];

fn typed_rows(count: i64) -> Vec<Vec<Value>> {
    (0..count)
        .map(|i| match i % 3 {
            0 => vec![Value::Null; 5],
            _ => vec![
                Value::Integer(i),
                Value::Real(i as f64 / 2.0),
                text_of(&format!("row {i}")),
                Value::Blob(vec![1, 2]),
                Value::Real(0.5),
            ],
        })
        .collect()
}

fn check_batches(batches: &[arrow_array::RecordBatch], count: usize) {
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float64Type, Int64Type};
    assert_eq!(
        batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        count
    );
    let first = &batches[0];
    assert!(first.column(0).is_null(0));
    assert_eq!(first.column(0).as_primitive::<Int64Type>().value(1), 1);
    assert_eq!(first.column(1).as_primitive::<Float64Type>().value(2), 1.0);
    assert_eq!(first.column(2).as_string::<i32>().value(2), "row 2");
    assert_eq!(first.column(3).as_binary::<i32>().value(2), [1, 2]);
    assert_eq!(first.column(4).as_string::<i32>().value(1), "0.5");
}

#[test]
fn parquet_and_arrow_keep_types_and_all_rows() {
    let count = 20_000;
    let rows = typed_rows(count as i64);
    let bytes = written(Format::Arrow, &KINDS, &rows);
    let reader = arrow_ipc::reader::FileReader::try_new(io::Cursor::new(bytes), None).unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    check_batches(&batches, count);

    // Parquet reads from a file.
    let scratch = tempfile::tempdir().unwrap();
    let mut file = file(scratch.path()).unwrap();
    file.write_all(&written(Format::Parquet, &KINDS, &rows))
        .unwrap();
    let reader =
        parquet::arrow::arrow_reader::ParquetRecordBatchReader::try_new(file, count).unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    check_batches(&batches, count);

    for format in [Format::Arrow, Format::Parquet] {
        assert!(
            !written(format, &KINDS, &[]).is_empty(),
            "a file without rows is one"
        );
    }
}
