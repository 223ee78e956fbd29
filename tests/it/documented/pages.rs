//! What a page holds: blocks that are run, and links.

/// A block of commands and of what they print.
pub struct Block {
    /// The line of the page at which it starts.
    pub line: usize,
    pub before: Vec<String>,
    pub meanwhile: Option<String>,
    pub steps: Vec<Step>,
}

pub struct Step {
    pub line: usize,
    pub command: String,
    pub shown: String,
}

/// Returns the console blocks of a page.
pub fn blocks(text: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let (mut before, mut meanwhile) = (Vec::new(), None);
    let mut lines = text.lines().enumerate().map(|(i, line)| (i + 1, line));
    while let Some((number, line)) = lines.next() {
        if let Some(command) = arranged(line, "before") {
            before.push(command);
        } else if let Some(command) = arranged(line, "meanwhile") {
            meanwhile = Some(command);
        } else if line == "```console" {
            let inside: Vec<(usize, &str)> = lines
                .by_ref()
                .take_while(|(_, line)| *line != "```")
                .collect();
            blocks.push(Block {
                line: number,
                before: std::mem::take(&mut before),
                meanwhile: meanwhile.take(),
                steps: steps(&inside)?,
            });
        } else if line.starts_with("```") {
            let _ = lines.by_ref().find(|(_, line)| *line == "```");
        } else if !(before.is_empty() && meanwhile.is_none()) {
            return Err(format!("line {number}: no console block follows a comment"));
        }
    }
    Ok(blocks)
}

/// Returns the command of a comment of this kind.
fn arranged(line: &str, kind: &str) -> Option<String> {
    let rest = line.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
    let command = rest.strip_prefix(kind)?.strip_prefix(": ")?;
    Some(command.to_owned())
}

fn steps(lines: &[(usize, &str)]) -> Result<Vec<Step>, String> {
    let mut steps: Vec<Step> = Vec::new();
    for &(number, line) in lines {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step {
                line: number,
                command: command.to_owned(),
                shown: String::new(),
            });
        } else {
            let step = steps
                .last_mut()
                .ok_or_else(|| format!("line {number}: no command is above it"))?;
            step.shown.push_str(line);
            step.shown.push('\n');
        }
    }
    Ok(steps)
}

/// Returns the targets of links within the repository.
pub fn links(text: &str) -> Vec<&str> {
    let mut links = Vec::new();
    let mut quoted = false;
    for line in text.lines() {
        quoted ^= line.starts_with("```");
        if quoted {
            continue;
        }
        let mut rest = line;
        while let Some((_, after)) = rest.split_once("](") {
            let Some((target, after)) = after.split_once(')') else {
                break;
            };
            if !target.contains("://") {
                links.push(target);
            }
            rest = after;
        }
    }
    links
}
