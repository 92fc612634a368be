//! What was measured, as data and as Markdown.

use serde::Serialize;

/// A whole report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Where every draw began.
    pub seed: u64,
    /// The files that were read, with their SHA-256.
    pub data: Vec<Source>,
    /// In the order in which they are shown.
    pub sections: Vec<Section>,
}

/// A file that was read.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
    /// How many rows.
    pub rows: usize,
}

/// One part of a report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Section {
    /// The word for `--section`.
    pub name: String,
    /// Its heading.
    pub title: String,
    /// What is measured and how, in paragraphs.
    pub about: Vec<String>,
    /// What was to be reached.
    pub goals: Vec<Goal>,
    /// The figures.
    pub tables: Vec<Table>,
}

/// Something that was to be reached.
#[derive(Clone, Debug, Serialize)]
pub struct Goal {
    /// What.
    pub what: String,
    /// How much of it.
    pub wanted: String,
    /// How much there is.
    pub got: String,
    /// Whether it is reached.
    pub reached: bool,
}

/// Figures in rows.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// What they are.
    pub caption: String,
    /// Names of the columns.
    pub head: Vec<String>,
    /// As many cells in each as the head has.
    pub rows: Vec<Vec<String>>,
}

impl Goal {
    /// A figure that should be at least so much.
    pub fn at_least(what: impl Into<String>, wanted: f64, got: f64, show: fn(f64) -> String) -> Self {
        Self {
            what: what.into(),
            wanted: format!("≥ {}", show(wanted)),
            got: show(got),
            reached: got >= wanted,
        }
    }

    /// A figure that should be at most so much.
    pub fn at_most(what: impl Into<String>, wanted: f64, got: f64, show: fn(f64) -> String) -> Self {
        Self {
            what: what.into(),
            wanted: format!("≤ {}", show(wanted)),
            got: show(got),
            reached: got <= wanted,
        }
    }
}

impl Table {
    /// An empty table.
    pub fn new(caption: impl Into<String>, head: &[&str]) -> Self {
        Self {
            caption: caption.into(),
            head: head.iter().map(|name| (*name).to_owned()).collect(),
            rows: Vec::new(),
        }
    }
}

impl Report {
    /// The report as Markdown, without a title of its own.
    pub fn markdown(&self) -> String {
        let mut text = String::new();
        let goals: Vec<&Goal> = self.sections.iter().flat_map(|section| &section.goals).collect();
        if !goals.is_empty() {
            let reached = goals.iter().filter(|goal| goal.reached).count();
            text += &format!("## Goals\n\n{reached} of {} are reached.\n\n", goals.len());
            let rows = goals.iter().map(|goal| {
                let says = if goal.reached { "yes" } else { "**no**" };
                vec![goal.what.clone(), goal.wanted.clone(), goal.got.clone(), says.to_owned()]
            });
            grid(
                &mut text,
                &["figure", "goal", "measured", "reached"].map(str::to_owned),
                &rows.collect::<Vec<_>>(),
            );
        }
        for section in &self.sections {
            text += &format!("\n## {}\n\n", section.title);
            for paragraph in &section.about {
                text += &format!("{paragraph}\n\n");
            }
            for table in &section.tables {
                if !table.caption.is_empty() {
                    text += &format!("**{}**\n\n", table.caption);
                }
                grid(&mut text, &table.head, &table.rows);
                text.push('\n');
            }
        }
        text += "\n## Data\n\n";
        let sources = self.data.iter().map(|source| {
            vec![format!("`{}`", source.name), source.rows.to_string(), format!("`{}`", source.sha256)]
        });
        grid(&mut text, &["file", "rows", "SHA-256"].map(str::to_owned), &sources.collect::<Vec<_>>());
        text += &format!(
            "\nEvery draw (folds, order of training, bootstraps, perturbations) begins at seed {}.\n",
            self.seed
        );
        text
    }
}

fn grid(text: &mut String, head: &[String], rows: &[Vec<String>]) {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    *text += &line(head);
    *text += &line(&head.iter().map(|_| "---".to_owned()).collect::<Vec<_>>());
    rows.iter().for_each(|row| *text += &line(row));
}

/// Three digits after the point.
pub fn share(value: f64) -> String {
    if value.is_nan() { "–".to_owned() } else { format!("{value:.3}") }
}

/// A share as a percentage with one digit after the point.
pub fn percent(value: f64) -> String {
    if value.is_nan() { "–".to_owned() } else { format!("{:.1} %", 100.0 * value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_plainly_what_is_missed() {
        let section = Section {
            title: "Pairs".into(),
            goals: vec![Goal::at_least("a", 0.7, 0.69, share), Goal::at_most("b", 0.05, 0.05, percent)],
            ..Section::default()
        };
        let text = Report { sections: vec![section], ..Report::default() }.markdown();
        assert!(text.contains("1 of 2 are reached."), "{text}");
        assert!(text.contains("| a | ≥ 0.700 | 0.690 | **no** |"), "{text}");
        assert!(text.contains("| b | ≤ 5.0 % | 5.0 % | yes |"), "{text}");
    }
}
