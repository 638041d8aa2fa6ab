if [ -f ~/.aliases ]; then . ~/.aliases; fi
export PATH="$HOME/bin:$PATH"
export OPENAI_API_KEY=sk-proj-MadeUpForTheTestsOai0123456789abcdefXYZ; export EDITOR=vi
export ANTHROPIC_API_KEY="$(pass show anthropic)"
alias gs='git status'
