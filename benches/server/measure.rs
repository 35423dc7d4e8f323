//! A measure: its bar, its aim, and a value for each round.

/// Something that is to be at least `bar`, or at most `bar` if less is better.
pub struct Measure {
    what: String,
    bar: Option<f64>,
    aim: Option<f64>,
    unit: &'static str,
    is_less_better: bool,
    /// One value for each round. Empty if nothing could be measured.
    values: Vec<f64>,
}

impl Measure {
    /// A ratio without a bar, for information.
    pub fn new(what: impl Into<String>, values: Vec<f64>) -> Self {
        Self { what: what.into(), bar: None, aim: None, unit: "×", is_less_better: false, values }
    }

    /// The value is to be at least this.
    pub fn at_least(mut self, bar: f64, aim: Option<f64>) -> Self {
        (self.bar, self.aim, self.is_less_better) = (Some(bar), aim, false);
        self
    }

    /// The value is to be at most this.
    pub fn at_most(mut self, bar: f64, aim: Option<f64>) -> Self {
        (self.bar, self.aim, self.is_less_better) = (Some(bar), aim, true);
        self
    }

    pub fn unit(mut self, unit: &'static str) -> Self {
        self.unit = unit;
        self
    }

    fn verdict(&self) -> &'static str {
        let middle = median(&self.values);
        let reaches = |goal: f64| if self.is_less_better { middle <= goal } else { middle >= goal };
        match (self.bar, self.aim) {
            _ if self.values.is_empty() => "not measured",
            (None, _) => "",
            (_, Some(aim)) if reaches(aim) => "aim",
            (Some(bar), _) if reaches(bar) => "bar",
            _ => "**no**",
        }
    }

    fn measured(&self) -> String {
        if self.values.is_empty() {
            return "–".to_owned();
        }
        let least = number(self.values.iter().copied().fold(f64::INFINITY, f64::min));
        let most = number(self.values.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        let spread = if least == most { String::new() } else { format!(" ({least} … {most})") };
        format!("{} {}{spread}", number(median(&self.values)), self.unit)
    }

    /// A row of the table.
    pub fn row(&self) -> String {
        let goal = |value: Option<f64>| match value {
            None => String::new(),
            Some(value) if self.is_less_better => format!("≤ {} {}", number(value), self.unit),
            Some(value) => format!("{} {}", number(value), self.unit),
        };
        let (bar, aim) = (goal(self.bar), goal(self.aim));
        format!("| {} | {bar} | {aim} | {} | {} |", self.what, self.measured(), self.verdict())
    }
}

pub const HEAD: &str =
    "| measure | bar | aim | measured | reached |\n| --- | --- | --- | --- | --- |";

/// The value below which a part `of_all` of the values lies; NaN without values.
pub fn quantile(values: &[f64], of_all: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (sorted.len().saturating_sub(1) as f64 * of_all).round() as usize;
    sorted.get(at).copied().unwrap_or(f64::NAN)
}

pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// Three digits, without an exponent.
pub fn number(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return value.to_string();
    }
    if value.abs() < 100.0 {
        let decimals = (2 - value.abs().log10().floor() as i32).max(0) as usize;
        let text = format!("{value:.decimals$}");
        return if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        };
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
