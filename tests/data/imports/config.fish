set -gx OPENAI_API_KEY sk-proj-MadeUpForTheTestsOai0123456789abcdefXYZ
set -x EDITOR vi
if status is-interactive
end
