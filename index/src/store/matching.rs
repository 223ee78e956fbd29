//! Which images meet a filter.

use std::path::Path;

use globset::{Glob, GlobMatcher};
use rusqlite::params_from_iter;
use rusqlite::types::Value;

use super::columns::path_of;
use super::labels;
use super::path;
use super::reader::Reader;
use crate::error::{Error, Result};
use crate::filter::{Filter, Moment};

impl Reader {
    /// Returns the ids of the images that meet a filter, ascending.
    pub(crate) fn matching(&self, filter: &Filter) -> Result<Vec<i64>> {
        let mut chosen: Option<Vec<i64>> = filter
            .ids
            .as_ref()
            .map(|ids| ids.iter().map(|id| id.0).collect());
        if let Some(chosen) = &mut chosen {
            chosen.sort_unstable();
            chosen.dedup();
            if filter.is_of_ids_only() {
                return Ok(std::mem::take(chosen));
            }
        }
        let globs = filter
            .globs
            .iter()
            .map(|glob| matcher(glob))
            .collect::<Result<Vec<_>>>()?;
        let mut found = self.matching_all(filter, &globs)?;
        if let Some(chosen) = chosen {
            found.retain(|id| chosen.binary_search(id).is_ok());
        }
        Ok(found)
    }

    /// Returns the images that meet every condition of a filter except its ids.
    fn matching_all(&self, filter: &Filter, globs: &[GlobMatcher]) -> Result<Vec<i64>> {
        let (sql, values) = statement(filter)?;
        let fail = |source| self.fail(source);
        let mut statement = self.connection().prepare(&sql).map_err(fail)?;
        let mut rows = statement.query(params_from_iter(values)).map_err(fail)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(fail)? {
            if !globs.is_empty() {
                let path = path_of(row, 1).map_err(fail)?;
                if !globs.iter().any(|glob| glob.is_match(Path::new(&path))) {
                    continue;
                }
            }
            found.push(row.get(0).map_err(fail)?);
        }
        Ok(found)
    }
}

/// Returns the query for all conditions that the database can test, and its values.
fn statement(filter: &Filter) -> Result<(String, Vec<Value>)> {
    let mut sql = "SELECT i.id, i.path FROM images i".to_owned();
    let mut values: Vec<Value> = Vec::new();
    let mut conditions = Vec::new();
    if filter.after.is_some() || filter.before.is_some() || !filter.formats.is_empty() {
        sql += " JOIN contents c ON c.id = i.content";
    }
    if !filter.under.is_empty() {
        let mut any = Vec::new();
        for under in &filter.under {
            let (low, high) = path::below(under)?;
            any.push("i.path = ? OR (i.path >= ? AND i.path < ?)");
            values.push(Value::Blob(path::to_bytes(under)?.to_vec()));
            values.extend([Value::Blob(low), Value::Blob(high)]);
        }
        conditions.push(format!("({})", any.join(" OR ")));
    }
    for (sign, bound) in [(">=", filter.after), ("<", filter.before)] {
        if let Some(Moment { wall, unix_ns }) = bound {
            conditions.push(format!(
                "CASE WHEN c.taken IS NULL THEN i.mtime_ns {sign} ? ELSE c.taken {sign} ? END"
            ));
            values.extend([Value::Integer(unix_ns), Value::Integer(wall)]);
        }
    }
    let size = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
    for (sign, bound) in [(">=", filter.min_size), ("<=", filter.max_size)] {
        if let Some(bound) = bound {
            conditions.push(format!("i.size {sign} ?"));
            values.push(Value::Integer(size(bound)));
        }
    }
    if !filter.formats.is_empty() {
        let marks = vec!["?"; filter.formats.len()].join(", ");
        conditions.push(format!("c.format IN ({marks})"));
        values.extend(filter.formats.iter().cloned().map(Value::Text));
    }
    for label in &filter.labels {
        let marks = vec!["?"; label.classes.len()].join(", ");
        conditions.push(format!(
            "i.content IN (SELECT content FROM labels WHERE class IN ({marks})
                           GROUP BY content HAVING sum(probability) >= ?)"
        ));
        let classes = label.classes.iter().map(|&class| i64::from(class).into());
        values.extend(classes);
        values.push(labels::stored(label.min_probability).into());
    }
    if !conditions.is_empty() {
        sql += &format!(" WHERE {}", conditions.join(" AND "));
    }
    sql += " ORDER BY i.id";
    Ok((sql, values))
}

fn matcher(glob: &str) -> Result<GlobMatcher> {
    match Glob::new(glob) {
        Ok(glob) => Ok(glob.compile_matcher()),
        Err(error) => Err(Error::InvalidInput(format!(
            "the pattern {glob:?} is not a valid glob: {}",
            error.kind()
        ))),
    }
}
