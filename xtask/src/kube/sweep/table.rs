//! What a sweep says at its end.

/// One action of one program.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    /// Why it failed, in a line.
    pub(super) error: Option<String>,
    pub(super) seconds: f64,
    /// Requests to the API server, where it can be seen.
    pub(super) requests: Option<usize>,
}

/// What became of one chart.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) chart: String,
    /// The installation by helm.
    pub(super) helm: Outcome,
    /// And by Pitrix.
    pub(super) ours: Outcome,
    /// Whether the objects were the same after every action that helm carried out.
    pub(super) is_same: bool,
    /// What is to say of it.
    pub(super) remark: String,
}

impl Row {
    fn both_installed(&self) -> bool {
        self.helm.error.is_none() && self.ours.error.is_none()
    }
}

/// The last line.
pub(super) fn summary(rows: &[Row]) -> String {
    let count = |holds: fn(&Row) -> bool| rows.iter().filter(|row| holds(row)).count();
    let both = || rows.iter().filter(|row| row.both_installed());
    let wall = ratio(both().map(|row| (Some(row.ours.seconds), Some(row.helm.seconds))));
    let number = |count: Option<usize>| count.and_then(|count| u32::try_from(count).ok()).map(f64::from);
    let requests = ratio(both().map(|row| (number(row.ours.requests), number(row.helm.requests))));
    format!(
        "charts={} helm_ok={} ours_ok={} same_objects={} wall_ratio={wall} request_ratio={requests}",
        rows.len(),
        count(|row| row.helm.error.is_none()),
        count(|row| row.ours.error.is_none()),
        count(|row| row.both_installed() && row.is_same),
    )
}

/// The sum of the first numbers by that of the second; `?` where one is missing.
fn ratio(pairs: impl Iterator<Item = (Option<f64>, Option<f64>)>) -> String {
    let sums = pairs.map(|(ours, helm)| Some((ours?, helm?))).try_fold((0.0, 0.0), |sums, pair| {
        let (ours, helm) = pair?;
        Some((sums.0 + ours, sums.1 + helm))
    });
    match sums {
        Some((ours, helm)) if helm > 0.0 => format!("{:.2}", ours / helm),
        _ => "?".to_owned(),
    }
}

/// All rows as a table in Markdown.
pub(super) fn markdown(rows: &[Row]) -> String {
    let mut table = "| Chart | helm s | ours s | helm requests | our requests | Same objects | |\n\
                     |---|--:|--:|--:|--:|---|---|\n"
        .to_owned();
    for row in rows {
        let [helm, ours] = [&row.helm, &row.ours].map(|outcome| match outcome.error {
            None => (format!("{:.2}", outcome.seconds), number(outcome.requests)),
            Some(_) => ("failed".to_owned(), String::new()),
        });
        let is_same = match (row.both_installed(), row.is_same) {
            (true, true) => "yes",
            (true, false) => "no",
            _ => "",
        };
        let remark = row.remark.replace('|', "\\|");
        table.push_str(&format!(
            "| {} | {} | {} | {} | {} | {is_same} | {remark} |\n",
            row.chart, helm.0, ours.0, helm.1, ours.1
        ));
    }
    table
}

fn number(count: Option<usize>) -> String {
    count.map_or("?".to_owned(), |count| count.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(error: Option<&str>, seconds: f64, requests: usize) -> Outcome {
        Outcome { error: error.map(str::to_owned), seconds, requests: Some(requests) }
    }

    fn row(helm: Outcome, ours: Outcome, is_same: bool) -> Row {
        Row { chart: "web".to_owned(), helm, ours, is_same, remark: "a|b".to_owned() }
    }

    #[test]
    fn only_what_both_install_counts_for_the_ratios() {
        let rows = [
            row(outcome(None, 2.0, 40), outcome(None, 1.0, 10), true),
            row(outcome(None, 2.0, 40), outcome(None, 2.0, 30), false),
            row(outcome(None, 9.0, 90), outcome(Some("no"), 1.0, 1), false),
            row(outcome(Some("no"), 9.0, 90), outcome(Some("no"), 1.0, 1), false),
        ];
        assert_eq!(
            summary(&rows),
            "charts=4 helm_ok=3 ours_ok=2 same_objects=1 wall_ratio=0.75 request_ratio=0.50"
        );
        let unknown = row(Outcome { requests: None, ..outcome(None, 1.0, 0) }, outcome(None, 1.0, 1), true);
        assert!(summary(&[unknown]).ends_with("wall_ratio=1.00 request_ratio=?"));
        assert!(summary(&[]).ends_with("wall_ratio=? request_ratio=?"));
    }

    #[test]
    fn each_chart_has_a_line_in_the_table() {
        let rows = [
            row(outcome(None, 2.0, 40), outcome(None, 1.0, 10), true),
            row(outcome(Some("no"), 9.0, 90), outcome(None, 1.0, 1), false),
        ];
        let table = markdown(&rows);
        let lines: Vec<_> = table.lines().skip(2).collect();
        assert_eq!(
            lines,
            ["| web | 2.00 | 1.00 | 40 | 10 | yes | a\\|b |", "| web | failed | 1.00 |  | 1 |  | a\\|b |"]
        );
    }
}
