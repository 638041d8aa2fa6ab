$env:ANTHROPIC_API_KEY = "sk-ant-api03-MadeUpForTheTestsAnt0123456789abcdefXYZ"
Set-Alias ll Get-ChildItem
