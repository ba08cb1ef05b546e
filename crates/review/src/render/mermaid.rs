//! From key to configuration to workspace to kinds of data, as a Mermaid diagram, which GitHub draws.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::report::Report;

/// With more boxes than this, the report leaves the picture out: a reader could not follow it.
pub(super) const MOST_NODES: usize = 60;

/// Text inside the quotes of a label.
fn label(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push_str("#quot;"),
            '#' => out.push_str("#35;"),
            '<' => out.push_str("#lt;"),
            '>' => out.push_str("#gt;"),
            '&' => out.push_str("#amp;"),
            '`' => out.push('\''),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// The diagram; `None` when there is nothing to draw, or too much.
pub(super) fn mermaid(report: &Report) -> Option<String> {
    if report.nodes.is_empty() || report.nodes.len() > MOST_NODES {
        return None;
    }
    let ids: BTreeMap<&str, String> = report
        .nodes
        .iter()
        .enumerate()
        .map(|(index, node)| (node.name.as_str(), format!("n{index}")))
        .collect();
    let mut out = String::from("flowchart LR\n");
    for node in &report.nodes {
        let Some(id) = ids.get(node.name.as_str()) else {
            continue;
        };
        let mut text = label(&node.name);
        if !node.action.is_empty() {
            let _ = write!(text, "<br/><b>{}</b>", node.action);
        }
        let shape = match node.kind {
            "key" => format!("{id}([\"🔑 {text}\"])"),
            "workspace" => format!("{id}[[\"{text}\"]]"),
            "data" => format!("{id}[(\"{text}\")]"),
            _ => format!("{id}[\"{text}\"]"),
        };
        let class = match node.action {
            "" => "",
            "create" => ":::new",
            "delete" | "replace" => ":::gone",
            _ => ":::changed",
        };
        let _ = writeln!(out, "  {shape}{class}");
    }
    for edge in &report.edges {
        let (Some(from), Some(to)) = (ids.get(edge.from.as_str()), ids.get(edge.to.as_str()))
        else {
            continue;
        };
        let arrow = match edge.state {
            "new" => "==>",
            "gone" => "-.->",
            _ => "-->",
        };
        let label = match (edge.label, edge.state) {
            ("", _) => String::new(),
            (label, "gone") => format!("|\"{label}, before\"|"),
            (label, _) => format!("|\"{label}\"|"),
        };
        let _ = writeln!(out, "  {from} {arrow}{label} {to}");
    }
    out.push_str("  classDef new stroke:#1a7f37,stroke-width:3px\n");
    out.push_str("  classDef changed stroke:#9a6700,stroke-width:3px\n");
    out.push_str("  classDef gone stroke:#cf222e,stroke-width:3px,stroke-dasharray: 5 5\n");
    Some(out)
}
