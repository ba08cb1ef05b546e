//! The principals that need a key and lack it: one finding for each kind of lack, which lists them all.

use super::access::{Access, ConditionalGrant, access, conditional_grants};
use super::condition::Holds;
use super::facts::CryptoKeyFacts;
use super::{Question, gcloud};
use crate::{Fact, Finding, Hint, Id, Remedy, Subject};
use requirements::gcp::{ENCRYPTER_DECRYPTER, Grantee, agent_of};
use vocabulary::gcp::ServiceAccount;
use vocabulary::{KeyUse, UseCase};

/// The grantees that lack the key in one way.
#[derive(Default)]
struct Lacking<'a> {
    grantees: Vec<&'a Grantee>,
    lines: Vec<String>,
}

impl<'a> Lacking<'a> {
    fn add(&mut self, facts: &CryptoKeyFacts, grantee: &'a Grantee, note: &str) {
        let conditions: Vec<String> = conditional_grants(facts, &grantee.account)
            .iter()
            .map(|grant| format!("\n    {}", in_words(grant)))
            .collect();
        self.grantees.push(grantee);
        self.lines.push(format!(
            "  - {}, for {}{note}. Without it, {}.{}",
            grantee.account,
            grantee.what_for,
            grantee.without_it,
            conditions.concat()
        ));
    }

    fn finding(
        self,
        facts: &CryptoKeyFacts,
        question: &Question,
        finding: Finding,
        found: &str,
    ) -> Option<Finding> {
        if self.grantees.is_empty() {
            return None;
        }
        let is_for_tables = |one: &&Grantee| one.use_case == KeyUse::UnityCatalog;
        let why = match self.grantees.iter().all(is_for_tables) {
            true => {
                "Cloud Storage encrypts and decrypts with the key as its service agent, and not as the account that reads: jobs that read or write \
                 the tables fail when they run."
            }
            false => {
                "A workspace works only while each of them can encrypt and decrypt with the key."
            }
        };
        let lacking = self.grantees.iter().map(|one| (&one.account, one.use_case));
        Some(
            finding
                .found(format!("{found}\n{}", self.lines.join("\n")))
                .why(why)
                .remedy(grant(facts, question, lacking)),
        )
    }
}

/// A grant under a condition, as a sentence.
fn in_words(grant: &ConditionalGrant) -> String {
    let title = match grant.condition.title.as_str() {
        "" => String::new(),
        title => format!("\"{title}\": "),
    };
    let what = match grant.holds {
        Holds::Undetermined => "which the provider cannot decide",
        Holds::Yes | Holds::No => "which does not hold, so the grant does not count",
    };
    format!(
        "It has {} on {} under the condition {title}`{}`, {what}.",
        grant.role, grant.of, grant.condition.expression
    )
}

/// How the user grants a key: the block to paste has all accounts of the question, so that it removes none from the list that is
/// there, and each account that lacks the key has a command.
fn grant<'a>(
    facts: &CryptoKeyFacts,
    question: &Question,
    lacking: impl Iterator<Item = (&'a ServiceAccount, KeyUse)>,
) -> Remedy {
    let key = &facts.name;
    let lacking: Vec<(&ServiceAccount, KeyUse)> = lacking.collect();
    let has_tables = lacking
        .iter()
        .any(|(_, case)| *case == KeyUse::UnityCatalog);
    let mut of_workspace = lacking
        .iter()
        .filter(|(_, case)| *case != KeyUse::UnityCatalog);
    let project = of_workspace.find_map(|(account, _)| agent_of(&account.member()));
    let mut accounts_lacking: Vec<&ServiceAccount> = Vec::new();
    for (account, _) in &lacking {
        if !accounts_lacking.contains(account) {
            accounts_lacking.push(account);
        }
    }
    let lacking = accounts_lacking;
    let is_agent = |account: &ServiceAccount| agent_of(&account.member());
    let mut accounts = question.usage.databricks.clone();
    let own = lacking.iter().copied().chain(&question.workspace_accounts);
    for account in own.filter(|account| is_agent(account).is_none()) {
        if !accounts.contains(account) {
            accounts.push(account.clone());
        }
    }
    let hint = Hint::GrantMembers {
        key: key.clone(),
        accounts,
        project,
        bucket_projects: match has_tables {
            true => question.usage.table_projects.clone(),
            false => Vec::new(),
        },
    };
    let commands = lacking.iter().map(|account| {
        format!(
            "{} --member {} --role {ENCRYPTER_DECRYPTER}",
            gcloud(&format!("keys add-iam-policy-binding {}", key.key()), key),
            account.member()
        )
    });
    Remedy::hint(hint).run(commands)
}

/// The levels whose policies could not be read.
fn unread(facts: &CryptoKeyFacts) -> String {
    let levels: Vec<String> = facts
        .policies
        .iter()
        .filter_map(|level| match &level.bindings {
            Fact::Known(_) => None,
            Fact::Unreadable(why) => Some(format!("\n  - {}: {}", level.of, why.reason)),
        })
        .collect();
    levels.concat()
}

/// Everything there is to say about who may use the key.
pub(super) fn judge(facts: &CryptoKeyFacts, question: &Question) -> Vec<Finding> {
    let (key, stage) = (&facts.name, question.stage);
    let has_unknown = facts
        .planned
        .as_ref()
        .is_some_and(|planned| planned.has_unknown);
    let grantees = question.usage.grantees();
    let (mut missing, mut not_seen) = (Lacking::default(), Lacking::default());
    let (mut conditional, mut unknown) = (Lacking::default(), Lacking::default());
    // The account of a workspace counts the same, whether the configuration or the workspace itself
    // names it.
    let of_workspaces = &question.workspace_accounts;
    let others = grantees
        .iter()
        .filter(|one| !of_workspaces.contains(&one.account));
    for grantee in others {
        match access(facts, &grantee.account) {
            Access::Granted => {}
            // The same plan grants it to members that are known only after apply.
            _ if has_unknown => {}
            Access::Conditional(_) => conditional.add(facts, grantee, ""),
            Access::UnknownRoles(roles) => {
                unknown.add(facts, grantee, &format!(": it has {}", roles.join(", ")))
            }
            Access::Groups(groups) => not_seen.add(
                facts,
                grantee,
                &format!(
                    " (perhaps it has one as a member of {}, whose members the provider does not read)",
                    groups.join(", ")
                ),
            ),
            Access::Deleted => missing.add(
                facts,
                grantee,
                " (the policy names it as deleted, `deleted:serviceAccount:…`, which does not hold for a recreated account)",
            ),
            Access::None if facts.is_read_to_the_top => missing.add(facts, grantee, ""),
            Access::None => not_seen.add(facts, grantee, ""),
        }
    }
    let all = [
        missing.finding(
            facts,
            question,
            Id::GcpMemberMissing.error(Subject::Key),
            &format!("No policy of {key}, its key ring, its project and above lets these service accounts encrypt and decrypt:"),
        ),
        conditional.finding(
            facts,
            question,
            Id::GcpMemberConditional.unread(Subject::Key, stage),
            &format!("These service accounts can use {key} only under a condition that the provider cannot decide:"),
        ),
        unknown.finding(
            facts,
            question,
            Id::GcpMemberUnknownRole.unread(Subject::Key, stage),
            &format!("These service accounts have roles on {key} or above whose permissions the provider does not know:"),
        ),
        not_seen.finding(
            facts,
            question,
            Id::GcpMemberNotSeen.warning(Subject::Key),
            &format!("The provider sees no grant on {key} for these service accounts:"),
        ),
    ];
    all.into_iter()
        .flatten()
        .chain(
            of_workspaces
                .iter()
                .filter_map(|one| workspace_account(facts, question, one)),
        )
        .map(|finding| with_unread(finding, facts))
        .collect()
}

/// Where a grant may be that was not seen.
fn with_unread(mut finding: Finding, facts: &CryptoKeyFacts) -> Finding {
    let levels = unread(facts);
    let is_seen = ![Id::GcpMemberNotSeen, Id::GcpWorkspaceAccount].contains(&finding.id);
    if !levels.is_empty() && !is_seen {
        finding.found.push_str(&format!(
            "\n\nIt could not read every level, so a grant may be there:{levels}"
        ));
    }
    finding
}

/// The account that Databricks creates for a workspace. No API shows it, so that it stops nothing.
fn workspace_account(
    facts: &CryptoKeyFacts,
    question: &Question,
    account: &ServiceAccount,
) -> Option<Finding> {
    if facts
        .planned
        .as_ref()
        .is_some_and(|planned| planned.is_list_unknown)
    {
        return None;
    }
    if !matches!(
        access(facts, account),
        Access::None | Access::Deleted | Access::Groups(_)
    ) {
        return None;
    }
    let unless = match facts
        .planned
        .as_ref()
        .is_some_and(|planned| planned.has_unknown)
    {
        true => {
            " The same plan grants the key to members that are known only after apply, and this one is not among those that are known."
        }
        false => "",
    };
    let conditions: Vec<String> = conditional_grants(facts, account)
        .iter()
        .map(|grant| format!("\n  - {}", in_words(grant)))
        .collect();
    Some(
        Id::GcpWorkspaceAccount
            .warning(Subject::Key)
            .found(format!(
                "The provider sees no grant on {} for {account}.{unless}{}",
                facts.name,
                conditions.concat()
            ))
            .why(
                "Databricks creates this service account with the workspace, and documents that it encrypts and decrypts with the key. No API \
                 shows its name: the provider derives it from the ID and the region of the workspace.",
            )
            .remedy(
                grant(
                    facts,
                    question,
                    std::iter::once((account, UseCase::Storage.into())),
                )
                    .and_hint(Hint::Suppression(Id::GcpWorkspaceAccount)),
            ),
    )
}
