//! Filters as conditions of SQL.

use imgsearch_index::collection::{below, to_bytes};
use imgsearch_index::{Filter, Moment, Result};
use tokio_postgres::types::ToSql;

/// A value of a statement.
pub type Value = Box<dyn ToSql + Sync + Send>;

/// Conditions, and the values that they name.
#[derive(Default)]
pub struct Conditions {
    sql: Vec<String>,
    pub values: Vec<Value>,
}

impl Conditions {
    /// Begins with the values of a statement, which it names `$1`, `$2` and so on.
    pub fn after(values: Vec<Value>) -> Self {
        Self {
            sql: Vec::new(),
            values,
        }
    }

    /// Adds a value. Returns its name.
    fn value(&mut self, value: impl ToSql + Sync + Send + 'static) -> String {
        self.values.push(Box::new(value));
        format!("${}", self.values.len())
    }

    /// Returns the clause, empty if there is no condition.
    pub fn clause(&self) -> String {
        match self.sql.is_empty() {
            true => String::new(),
            false => format!("WHERE {}", self.sql.join(" AND ")),
        }
    }

    /// Returns the values as a statement takes them.
    pub fn parameters(&self) -> Vec<&(dyn ToSql + Sync)> {
        let parameters = self.values.iter();
        parameters
            .map(|value| &**value as &(dyn ToSql + Sync))
            .collect()
    }

    /// Adds a condition that names one value, as `?`.
    pub fn with(&mut self, sql: &str, value: impl ToSql + Sync + Send + 'static) {
        let name = self.value(value);
        self.sql.push(sql.replace('?', &name));
    }

    /// Adds the condition that a path is one of `paths` or lies below it.
    pub fn under(&mut self, paths: &[std::path::PathBuf]) -> Result<()> {
        if paths.is_empty() {
            return Ok(());
        }
        let mut any = Vec::with_capacity(paths.len());
        for path in paths {
            let itself = self.value(to_bytes(path)?.to_vec());
            let (low, high) = below(path)?;
            let (low, high) = (self.value(low), self.value(high));
            // The first part is what the index holds: a path may be too long for one.
            any.push(format!(
                "(path = {itself} AND substr(path, 1, 500) = substr({itself}, 1, 500)
                  OR path >= {low} AND path < {high} AND substr(path, 1, 500) >= substr({low}, 1, 500)
                     AND substr(path, 1, 500) <= substr({high}, 1, 500))"
            ));
        }
        self.sql.push(format!("({})", any.join(" OR ")));
        Ok(())
    }

    /// Adds everything of a filter except its globs.
    pub fn filter(&mut self, filter: &Filter) -> Result<()> {
        self.under(&filter.under)?;
        for (sign, bound) in [(">=", filter.after), ("<", filter.before)] {
            if let Some(Moment { wall, unix_ns }) = bound {
                let (file, camera) = (self.value(unix_ns), self.value(wall));
                self.sql.push(format!(
                    "CASE WHEN taken IS NULL THEN mtime_ns {sign} {file} ELSE taken {sign} {camera} END"
                ));
            }
        }
        let size = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        for (sign, bound) in [(">=", filter.min_size), ("<=", filter.max_size)] {
            if let Some(bound) = bound {
                self.with(&format!("size {sign} ?"), size(bound));
            }
        }
        if !filter.formats.is_empty() {
            self.with("format = ANY(?)", filter.formats.clone());
        }
        if let Some(ids) = &filter.ids {
            let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
            self.with("id = ANY(?)", ids);
        }
        for label in &filter.labels {
            let classes: Vec<i32> = label.classes.iter().map(|&class| class.into()).collect();
            let classes = self.value(classes);
            // As in a folder, probabilities have 255 steps.
            let least = self.value((label.min_probability * 255.0).round() / 255.0 - 1e-6);
            self.sql.push(format!(
                "classes && {classes} AND (SELECT sum(l.p) FROM unnest(classes, probabilities) AS l(c, p)
                 WHERE l.c = ANY({classes})) >= {least}"
            ));
        }
        Ok(())
    }
}
