//! Charts as they are drawn: small ones, whole.

use api_keys::chart::{
    Chart, ChartColumn, ChartSeries, ChartUnit, HeatMap, LimitBar, heat_map, lines, meter, sparkline, stacked_bars,
    stacked_text,
};

fn chart(series: &[(&str, &[u64])]) -> Chart {
    let columns = series.first().map_or(0, |(_, values)| values.len());
    Chart {
        id: "spending".to_owned(),
        title: "Cost by provider".to_owned(),
        unit: ChartUnit::Usd,
        columns: (1..=columns)
            .map(|day| ChartColumn {
                name: format!("Nov {day}, 2026"),
                short: format!("Nov {day}"),
            })
            .collect(),
        series: series
            .iter()
            .map(|(name, dollars)| ChartSeries {
                name: (*name).to_owned(),
                values: dollars.iter().map(|dollars| dollars * 1_000_000_000).collect(),
            })
            .collect(),
        limit: Some((6_000_000_000, "daily budget".to_owned())),
    }
}

/// One element on each line.
fn apart(svg: maud::Markup) -> String {
    svg.into_string()
        .replace('>', ">\n")
        .replace('<', "\n<")
        .replace("\n\n", "\n")
        .trim()
        .to_owned()
}

#[test]
fn bars_are_stacked_below_a_limit() {
    let chart = chart(&[("anthropic", &[1, 0, 3]), ("openai & others <b>", &[2, 0, 4])]);
    insta::assert_snapshot!(apart(stacked_bars(&chart)));
}

#[test]
fn lines_have_gaps_where_there_is_nothing() {
    insta::assert_snapshot!(apart(lines(&chart(&[("anthropic", &[1, 2, 0, 4])]))));
}

#[test]
fn a_chart_in_the_terminal_has_axes_and_a_legend() {
    let chart = chart(&[("anthropic", &[1, 0, 3, 2, 5]), ("openai", &[2, 0, 4, 1, 1])]);
    let lines = stacked_text(&chart, 40, false).lines;
    let text: Vec<String> = lines
        .iter()
        .map(|line| {
            line.iter()
                .map(|stroke| stroke.text.as_str())
                .collect::<String>()
                .trim_end()
                .to_owned()
        })
        .collect();
    insta::assert_snapshot!(text.join("\n"));
}

#[test]
fn small_pictures_stand_beside_numbers() {
    let bar = |value, expected| {
        apart(meter(&LimitBar {
            value,
            limit: 100,
            expected,
            is_alert: value >= 80,
            is_exceeded: value > 100,
        }))
    };
    insta::assert_snapshot!([bar(30, Some((50, 120))), bar(150, None), apart(sparkline(&[0, 5, 10]))].join("\n\n"));
}

#[test]
fn a_heat_map_has_a_field_for_each_hour_with_a_value() {
    let mut values = [[0; 24]; 7];
    values[0][9] = 10;
    values[6][23] = 1;
    let map = HeatMap {
        id: "hours".to_owned(),
        title: "Requests by hour".to_owned(),
        unit: ChartUnit::Requests,
        values,
    };
    let drawn = heat_map(&map).into_string();
    assert_eq!(drawn.matches("<rect").count(), 2, "{drawn}");
    assert!(drawn.contains("Most on Mon between 09:00 and 10:00: 10"), "{drawn}");
}
