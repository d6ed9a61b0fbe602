//! Which chart shows a result, decided by its shape: columns, their values, how many rows. Made of the result alone; what
//! a chart would hide or bend is not drawn: bars begin at zero, a pie has few slices of one whole, and a category that
//! stands in two rows gets no bar, since two bars in one place would look like one.
//!
//! A specification is Vega-Lite without data: the fields are `c0`, `c1`, ... by column, so that no name of the data is
//! ever read as an expression or a path, and names stand only as titles.

mod columns;

use std::collections::HashSet;

use serde::Serialize;
use serde_json::{Value as Json, json};
use utoipa::ToSchema;

use crate::result::ResultSet;
use columns::{Columns, Measure};

/// The most bars that can be told apart.
const MAX_BARS: usize = 40;
/// The most slices of a pie.
const MAX_SLICES: usize = 6;
/// The most lines in one chart.
const MAX_LINES: usize = 8;
/// The most points of a line or a cloud; a browser draws more, nobody reads them.
const MAX_POINTS: usize = 5_000;
/// Bars lie down from here on, so that their labels can be read.
const MAX_UPRIGHT_BARS: usize = 8;
const MAX_UPRIGHT_LABEL: usize = 12;

/// A chart of a result, and the others that would be right.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct Chart {
    /// The one that is suggested; it is among `options`.
    pub kind: ChartKind,
    /// Why, in a sentence.
    pub why: String,
    /// All that fit, the suggested one first.
    pub options: Vec<ChartOption>,
    /// The result was cut off, so the chart does not show all of it.
    pub truncated: bool,
}

/// One way to draw the result.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct ChartOption {
    /// Which.
    pub kind: ChartKind,
    /// Its name for people.
    pub title: String,
    /// Vega-Lite, with fields `c0`, `c1`, ... by column and data named `rows`; null for a figure.
    #[schema(value_type = Object, nullable)]
    pub spec: Json,
}

/// The kinds of charts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChartKind {
    /// One number, written large.
    Figure,
    /// A line over time.
    Line,
    /// The same, filled to zero.
    Area,
    /// A bar for each category.
    Bar,
    /// Bars side by side for each category.
    GroupedBar,
    /// Bars on top of each other for each category.
    StackedBar,
    /// Slices of a whole.
    Pie,
    /// A point for each row, by two measures.
    Scatter,
}

impl ChartKind {
    fn title(self) -> &'static str {
        match self {
            ChartKind::Figure => "Figure",
            ChartKind::Line => "Line",
            ChartKind::Area => "Area",
            ChartKind::Bar => "Bars",
            ChartKind::GroupedBar => "Grouped bars",
            ChartKind::StackedBar => "Stacked bars",
            ChartKind::Pie => "Pie",
            ChartKind::Scatter => "Scatter",
        }
    }
}

/// Returns the chart of a result; `None` where a table is better.
pub fn chart(result: &ResultSet) -> Option<Chart> {
    if result.rows.is_empty() || result.rows.len() > MAX_POINTS {
        return None;
    }
    let columns = Columns::of(result);
    let (why, options) = figure(result, &columns)
        .or_else(|| over_time(result, &columns))
        .or_else(|| by_category(result, &columns))
        .or_else(|| by_two_categories(result, &columns))
        .or_else(|| of_two_measures(result, &columns))?;
    let options: Vec<ChartOption> = options
        .into_iter()
        .map(|(kind, spec)| ChartOption {
            kind,
            title: kind.title().to_owned(),
            spec,
        })
        .collect();
    Some(Chart {
        kind: options.first()?.kind,
        why: why.to_owned(),
        options,
        truncated: result.truncated,
    })
}

type Fitting = (&'static str, Vec<(ChartKind, Json)>);

fn figure(result: &ResultSet, columns: &Columns) -> Option<Fitting> {
    let is_one = result.rows.len() == 1 && result.columns.len() == 1;
    (is_one && columns.measures.len() == 1).then(|| {
        (
            "The result is one number.",
            vec![(ChartKind::Figure, Json::Null)],
        )
    })
}

fn over_time(result: &ResultSet, columns: &Columns) -> Option<Fitting> {
    let [time] = &columns.times[..] else {
        return None;
    };
    if result.rows.len() < 3 || columns.measures.is_empty() {
        return None;
    }
    let x = time.encoding(title(result, time.column));
    let (series, measures) = match (&columns.categories[..], &columns.measures[..]) {
        ([], measures) if columns.is_unique(result, &[time.column]) => (None, measures),
        ([category], [measure])
            if columns.distinct(result, *category) <= MAX_LINES
                && columns.is_unique(result, &[time.column, *category]) =>
        {
            (Some(*category), std::slice::from_ref(measure))
        }
        _ => return None,
    };
    let measures = comparable(result, measures);
    let draw = |mark: Json, stack: Json| {
        let mut spec = base(mark);
        if let Some(transform) = time.transform() {
            spec["transform"] = json!([transform]);
        }
        match (series, measures) {
            (Some(category), [measure, ..]) => {
                spec["encoding"] = json!({
                    "x": x, "y": quantity(result, measure, stack),
                    "color": color(result, category), "tooltip": tooltip(result, columns),
                });
            }
            (None, [measure]) => {
                spec["encoding"] = json!({
                    "x": x, "y": quantity(result, measure, stack), "tooltip": tooltip(result, columns),
                });
            }
            _ => return layered(spec, result, measures, &x, false),
        }
        spec
    };
    let mut options = vec![(
        ChartKind::Line,
        draw(
            json!({ "type": "line", "point": result.rows.len() <= 60 }),
            Json::Null,
        ),
    )];
    // An area that is filled says that its height counts from zero; several would hide each other.
    if series.is_none() && measures.len() == 1 && !measures[0].has_negative {
        options.push((
            ChartKind::Area,
            draw(
                json!({ "type": "area", "line": true, "opacity": 0.4 }),
                Json::Null,
            ),
        ));
    }
    if series.is_none() && measures.len() == 1 && result.rows.len() <= MAX_BARS {
        let mut spec = base(json!({ "type": "bar" }));
        spec["encoding"] = json!({
            "x": { "field": field(time.column), "type": "ordinal", "sort": null, "title": title(result, time.column) },
            "y": quantity(result, &measures[0], Json::Null), "tooltip": tooltip(result, columns),
        });
        options.push((ChartKind::Bar, spec));
    }
    Some(("The result has one value for each point in time.", options))
}

fn by_category(result: &ResultSet, columns: &Columns) -> Option<Fitting> {
    let label = match (&columns.categories[..], &columns.times[..]) {
        ([category], []) => *category,
        ([], [time]) => time.column,
        _ => return None,
    };
    let rows = result.rows.len();
    if !(2..=MAX_BARS).contains(&rows)
        || columns.measures.is_empty()
        || !columns.is_unique(result, &[label])
    {
        return None;
    }
    let names = json!({ "field": field(label), "type": "nominal", "sort": null, "title": title(result, label),
        "axis": { "labelLimit": 220, "labelAngle": 0 } });
    let lies_down = rows > MAX_UPRIGHT_BARS || columns.longest(result, label) > MAX_UPRIGHT_LABEL;
    let measures = comparable(result, &columns.measures);
    let mut options = Vec::new();
    if let [measure] = measures {
        let mut spec = base(json!({ "type": "bar" }));
        let value = quantity(result, measure, Json::Null);
        let (x, y) = if lies_down {
            (value, names)
        } else {
            (names, value)
        };
        spec["encoding"] = json!({ "x": x, "y": y, "tooltip": tooltip(result, columns) });
        options.push((ChartKind::Bar, spec));
        if rows <= MAX_SLICES && measure.is_share() && !result.truncated {
            let mut spec = base(json!({ "type": "arc", "innerRadius": 50 }));
            spec["encoding"] = json!({
                "theta": { "field": field(measure.column), "type": "quantitative", "stack": true },
                "color": color(result, label), "tooltip": tooltip(result, columns),
            });
            options.push((ChartKind::Pie, spec));
        }
    } else {
        let spec = layered(
            base(json!({ "type": "bar" })),
            result,
            measures,
            &names,
            true,
        );
        options.push((ChartKind::GroupedBar, spec));
    }
    if let [first, second] = &columns.measures[..]
        && rows >= 5
    {
        options.push((ChartKind::Scatter, scatter(result, columns, first, second)));
    }
    Some(("The result has one row for each category.", options))
}

fn by_two_categories(result: &ResultSet, columns: &Columns) -> Option<Fitting> {
    let ([one, other], [], [measure]) = (
        &columns.categories[..],
        &columns.times[..],
        &columns.measures[..],
    ) else {
        return None;
    };
    // The one with fewer values gives the colours.
    let (label, series) = match columns.distinct(result, *one) < columns.distinct(result, *other) {
        true => (*other, *one),
        false => (*one, *other),
    };
    let (labels, lines) = (
        columns.distinct(result, label),
        columns.distinct(result, series),
    );
    if result.rows.len() < 3
        || labels > MAX_BARS / 2
        || !(2..=MAX_LINES).contains(&lines)
        || !columns.is_unique(result, &[label, series])
    {
        return None;
    }
    let draw = |stack: Json, is_grouped: bool| {
        let mut spec = base(json!({ "type": "bar" }));
        spec["encoding"] = json!({
            "y": { "field": field(label), "type": "nominal", "sort": null, "title": title(result, label),
                "axis": { "labelLimit": 220 } },
            "x": quantity(result, measure, stack),
            "color": color(result, series), "tooltip": tooltip(result, columns),
        });
        if is_grouped {
            spec["encoding"]["yOffset"] = json!({ "field": field(series), "sort": null });
        }
        spec
    };
    // What has one partner each is no pair: room for the others would be left empty.
    if columns.is_unique(result, &[label]) {
        let options = vec![(ChartKind::Bar, draw(Json::Null, false))];
        return Some(("The result has one row for each category.", options));
    }
    let mut options = vec![(ChartKind::GroupedBar, draw(Json::Null, true))];
    // Parts that are stacked are parts of a sum.
    if measure.is_share() {
        options.push((ChartKind::StackedBar, draw(json!("zero"), false)));
    }
    Some((
        "The result has one value for each pair of categories.",
        options,
    ))
}

fn of_two_measures(result: &ResultSet, columns: &Columns) -> Option<Fitting> {
    let [first, second] = &columns.measures[..] else {
        return None;
    };
    (result.rows.len() >= 5 && columns.times.is_empty()).then(|| {
        let spec = scatter(result, columns, first, second);
        (
            "The result has two measures for each row.",
            vec![(ChartKind::Scatter, spec)],
        )
    })
}

fn scatter(result: &ResultSet, columns: &Columns, first: &Measure, second: &Measure) -> Json {
    let axis = |measure: &Measure| {
        json!({ "field": field(measure.column), "type": "quantitative", "title": title(result, measure.column),
            "scale": { "zero": false } })
    };
    let mut spec = base(json!({ "type": "point", "filled": true, "size": 60 }));
    spec["encoding"] =
        json!({ "x": axis(first), "y": axis(second), "tooltip": tooltip(result, columns) });
    spec
}

/// Returns the measures that one axis can carry: all of them, if there are few and none is more than a hundred times
/// another, else the first.
fn comparable<'a>(result: &ResultSet, measures: &'a [Measure]) -> &'a [Measure] {
    let sizes = || measures.iter().map(|measure| measure.largest);
    let (least, most) = (
        sizes().fold(f64::INFINITY, f64::min),
        sizes().fold(0.0, f64::max),
    );
    let names: HashSet<&str> = measures
        .iter()
        .map(|one| title(result, one.column))
        .collect();
    if measures.len() <= 3 && names.len() == measures.len() && most <= least * 100.0 {
        measures
    } else {
        &measures[..1]
    }
}

/// Draws several measures over one axis, each in a colour of its own, on bars side by side.
fn layered(
    mut spec: Json,
    result: &ResultSet,
    measures: &[Measure],
    x: &Json,
    offset: bool,
) -> Json {
    let mark = spec["mark"].take();
    let layers = measures.iter().map(|measure| {
        let name = title(result, measure.column);
        let mut layer = json!({
            "mark": mark,
            "encoding": {
                "y": quantity(result, measure, Json::Null),
                "color": { "datum": name, "type": "nominal", "title": null,
                    "legend": { "labelLimit": 220, "orient": "bottom" } },
            },
        });
        layer["encoding"]["y"]["title"] = Json::Null;
        if offset {
            layer["encoding"]["xOffset"] = json!({ "datum": name });
        }
        layer
    });
    spec["layer"] = layers.collect();
    spec["encoding"] = json!({ "x": x });
    if let Some(spec) = spec.as_object_mut() {
        spec.remove("mark");
    }
    spec
}

fn base(mark: Json) -> Json {
    json!({ "data": { "name": "rows" }, "mark": mark, "width": "container", "encoding": {} })
}

fn field(column: usize) -> String {
    format!("c{column}")
}

fn title(result: &ResultSet, column: usize) -> &str {
    result.columns.get(column).map_or("", |column| &column.name)
}

/// The axis of a measure. Bars and areas begin at zero: Vega-Lite sees to it, and a line may not need it.
fn quantity(result: &ResultSet, measure: &Measure, stack: Json) -> Json {
    json!({ "field": field(measure.column), "type": "quantitative", "title": title(result, measure.column),
        "stack": stack, "axis": { "format": "~s" } })
}

fn color(result: &ResultSet, column: usize) -> Json {
    json!({ "field": field(column), "type": "nominal", "sort": null, "title": title(result, column),
        "legend": { "labelLimit": 220, "orient": "bottom", "columns": 4 } })
}

fn tooltip(result: &ResultSet, columns: &Columns) -> Json {
    let shown = (0..result.columns.len()).take(8).map(|column| {
        let name = title(result, column);
        match columns.measures.iter().any(|one| one.column == column) {
            true => json!({ "field": field(column), "type": "quantitative", "format": ",.10~g", "title": name }),
            false => json!({ "field": field(column), "type": "nominal", "title": name }),
        }
    });
    shown.collect()
}

#[cfg(test)]
mod tests;
