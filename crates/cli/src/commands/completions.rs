//! `ringfence completions`: what a shell needs to complete commands and options, from the command line itself.

use clap::Command;
use clap_complete::Shell;

use crate::exit::Answer;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  ringfence completions bash > ~/.local/share/bash-completion/completions/ringfence
  ringfence completions zsh > \"${fpath[1]}/_ringfence\"
  ringfence completions fish > ~/.config/fish/completions/ringfence.fish")]
pub(crate) struct Arguments {
    /// The shell: bash, zsh, fish, powershell or elvish
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// `line` is the whole command line.
pub(crate) fn run(arguments: &Arguments, mut line: Command) -> Answer {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut line, "ringfence", &mut script);
    Answer::text(script)
}
