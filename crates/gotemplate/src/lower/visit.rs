//! Walks over the tree.

use crate::ast::{Command, List, Node, Operand, Pipe, Term};
use crate::site::{NodeKind, Place};

/// Calls `visit` for each pipeline in the nodes, until it returns something.
fn find_in_list<T>(nodes: &List, visit: &mut dyn FnMut(&Pipe) -> Option<T>) -> Option<T> {
    nodes.iter().find_map(|node| match node {
        Node::Text(_) | Node::Break | Node::Continue => None,
        Node::Action(pipe) => find_in_pipe(pipe, visit),
        Node::Template { pipe, .. } => pipe.as_ref().and_then(|pipe| find_in_pipe(pipe, visit)),
        Node::Branch { arms, otherwise } => {
            let found = arms
                .iter()
                .find_map(|arm| find_in_pipe(&arm.pipe, visit).or_else(|| find_in_list(&arm.body, visit)));
            found.or_else(|| otherwise.as_ref().and_then(|nodes| find_in_list(nodes, visit)))
        }
        Node::Range { pipe, body, otherwise } => find_in_pipe(pipe, visit)
            .or_else(|| find_in_list(body, visit))
            .or_else(|| otherwise.as_ref().and_then(|nodes| find_in_list(nodes, visit))),
    })
}

fn find_in_pipe<T>(pipe: &Pipe, visit: &mut dyn FnMut(&Pipe) -> Option<T>) -> Option<T> {
    if let Some(found) = visit(pipe) {
        return Some(found);
    }
    let mut operands = pipe.commands.iter().flat_map(|command| &command.operands);
    operands.find_map(|operand| find_in_operand(operand, visit))
}

fn find_in_operand<T>(operand: &Operand, visit: &mut dyn FnMut(&Pipe) -> Option<T>) -> Option<T> {
    match &operand.term {
        Term::Pipe(pipe) => find_in_pipe(pipe, visit),
        Term::Chain { operand, .. } => find_in_operand(operand, visit),
        _ => None,
    }
}

/// Whether something in the nodes assigns a variable of this name.
pub(super) fn assigns(nodes: &List, name: &str) -> bool {
    let mut visit = |pipe: &Pipe| {
        (pipe.assigns && pipe.variables.iter().any(|(known, _)| **known == *name)).then_some(())
    };
    find_in_list(nodes, &mut visit).is_some()
}

/// Whether a pipeline is most likely compiled without statements: it declares nothing, and has `and` and `or` at most
/// where only their truth counts.
pub(super) fn is_simple(pipe: &Pipe) -> bool {
    if !pipe.variables.is_empty() {
        return false;
    }
    if let [command] = pipe.commands.as_slice()
        && logical(command).is_some()
    {
        return command.operands.iter().skip(1).all(|operand| match &operand.term {
            Term::Pipe(pipe) => is_simple(pipe),
            _ => no_logic(operand),
        });
    }
    pipe.commands.iter().all(|command| logical(command).is_none() && command.operands.iter().all(no_logic))
}

/// The name of a command that is `and`, `or` or `not`.
pub(super) fn logical(command: &Command) -> Option<&str> {
    match &command.operands[0].term {
        Term::Function(name) if matches!(&**name, "and" | "or" | "not") => Some(name),
        _ => None,
    }
}

fn no_logic(operand: &Operand) -> bool {
    let mut visit = |pipe: &Pipe| {
        let logic = pipe.commands.iter().any(|command| matches!(logical(command), Some("and" | "or")));
        (logic || !pipe.variables.is_empty()).then_some(())
    };
    find_in_operand(operand, &mut visit).is_none()
}

/// How Go spells the node at a place, if it is one of these or in them.
pub(crate) fn expression_at(nodes: &List, place: Place) -> Option<String> {
    if place.kind == NodeKind::Template {
        return template_at(nodes, place.offset);
    }
    let mut visit = |pipe: &Pipe| {
        if place.kind == NodeKind::Pipe {
            return (pipe.offset == place.offset).then(|| pipe.to_string());
        }
        pipe.commands.iter().find_map(|command| {
            if place.kind == NodeKind::Command {
                return (command.offset == place.offset).then(|| command.to_string());
            }
            command.operands.iter().find_map(|operand| simple_operand_at(operand, place.offset))
        })
    };
    find_in_list(nodes, &mut visit)
}

fn simple_operand_at(operand: &Operand, offset: usize) -> Option<String> {
    match &operand.term {
        Term::Pipe(_) => None,
        _ if operand.offset == offset => Some(operand.to_string()),
        Term::Chain { operand, .. } => simple_operand_at(operand, offset),
        _ => None,
    }
}

fn template_at(nodes: &List, offset: usize) -> Option<String> {
    nodes.iter().find_map(|node| match node {
        Node::Template { offset: at, quoted, pipe, .. } if *at == offset => Some(match pipe {
            Some(pipe) => format!("{{{{template {quoted} {pipe}}}}}"),
            None => format!("{{{{template {quoted}}}}}"),
        }),
        Node::Branch { arms, otherwise } => arms
            .iter()
            .find_map(|arm| template_at(&arm.body, offset))
            .or_else(|| otherwise.as_ref().and_then(|nodes| template_at(nodes, offset))),
        Node::Range { body, otherwise, .. } => template_at(body, offset)
            .or_else(|| otherwise.as_ref().and_then(|nodes| template_at(nodes, offset))),
        _ => None,
    })
}
