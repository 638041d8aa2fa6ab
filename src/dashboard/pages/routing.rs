//! The decision for each task, with the verdict on every candidate, and what to do better.

use maud::{Markup, html};

use super::page::PageContext;
use crate::{
    dashboard::{caller::Onlooker, parts, tools},
    domain::{Objective, Task},
    error::Result,
};

pub(super) async fn routing(context: &PageContext<'_>) -> Result<Markup> {
    let (app, query) = (context.app, context.query);
    let named = query.text("task");
    let task = Task::ALL
        .into_iter()
        .find(|task| Some(task.as_str()) == named)
        .unwrap_or(Task::Chat);
    let wanted = query.text("objective");
    let objective = Objective::ALL
        .into_iter()
        .find(|objective| Some(objective.as_str()) == wanted);
    let mut words = vec![task.as_str(), "--all-candidates"];
    if let Some(objective) = objective {
        words.extend(["--objective", objective.as_str()]);
    }
    let decision = tools::view(app, &Onlooker, "route_request", &words).await;
    let advice = tools::view(app, &Onlooker, "get_routing_recommendations", &[]).await?;
    let titles: Vec<(&str, String)> = Task::ALL
        .iter()
        .map(|task| (task.as_str(), task.as_str().replace('_', " ")))
        .collect();
    let objectives = Objective::ALL
        .into_iter()
        .map(|objective| (objective.as_str(), objective.as_str()));
    Ok(html! {
        (context.choice("Task", "task", task.as_str(), titles.iter().map(|(name, title)| (*name, title.as_str()))))
        (context.choice("By", "objective", objective.map_or("", Objective::as_str), objectives))
        section .panel.decision {
            h2 { "Where a request for " (task.as_str().replace('_', " ")) " goes now" }
            @match &decision {
                Ok(view) => (parts::view("Candidates", view)),
                Err(error) => (parts::error_note(error)),
            }
        }
        section .panel {
            h2 { "Recommendations" }
            (parts::view("Recommendations", &advice))
        }
    })
}
