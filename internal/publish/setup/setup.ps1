# Fetches the update tool of this product into the folder that this script lies in. What
# is fetched takes its name only when it has the SHA-256 that stands here.
Set-StrictMode -Version 2
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
# VALUES
$Me = Split-Path -Leaf $MyInvocation.MyCommand.Path
$Bin = Split-Path -Parent $MyInvocation.MyCommand.Path

function Show-Usage {
    @"
Usage: $Me [OPTION]

Fetches the update tool ($ToolName $ToolVersion) for this system into the folder of this script.

  -a, --all          fetch it for every system
  -c, --clean        remove the fetched files, after a question
      --force-clean  remove them without a question
  -v, --verbose      tell more
      --version      print the version of the tool that is fetched
  -h, --help         print this

The proxy is taken from https_proxy or http_proxy, exceptions from no_proxy. Ends with 0 when it is
done or there is nothing for this system, else with 1.
"@
}

function Stop-With([string]$Text, [string]$Next) {
    [Console]::Error.WriteLine("${Me}: $Text")
    [Console]::Error.WriteLine("Next: $Next")
    exit 1
}

# A file of the list: System, Name, Sum, Size, Path.
function Get-List {
    foreach ($line in $Files -split "`n") {
        $f = $line.Trim() -split ' '
        New-Object PSObject -Property @{ System = $f[0]; Name = $f[1]; Sum = $f[2]; Size = [long]$f[3]; Path = $f[4] }
    }
}

function Get-Product {
    $file = Join-Path (Join-Path (Join-Path $Bin '..') 'updates') 'product.txt'
    if (-not (Test-Path -LiteralPath $file -PathType Leaf)) {
        Stop-With "Unable to identify the product: there is no $file." 'Put this script into the bin folder of a product.'
    }
    $line = @(Get-Content -LiteralPath $file)
    if ($line.Count -eq 0 -or $line[0].Trim() -eq '') {
        Stop-With "Unable to identify the product: $file is empty." 'Put NAME-VERSION into it.'
    }
    $line[0].Trim()
}

# This system as the list names it.
function Get-System {
    $unix = Get-Variable -Name IsWindows -ValueOnly -ErrorAction SilentlyContinue
    if ($unix -eq $false) {
        $os = (& uname -s).ToLowerInvariant()
        $arch = & uname -m
    }
    else {
        $os = 'windows'
        $arch = $env:PROCESSOR_ARCHITEW6432
        if (-not $arch) { $arch = $env:PROCESSOR_ARCHITECTURE }
    }
    switch ("$arch".ToLowerInvariant()) {
        { $_ -in 'amd64', 'x86_64' } { $arch = 'amd64' }
        { $_ -in 'arm64', 'aarch64' } { $arch = 'arm64' }
    }
    "$os/$arch"
}

# The proxy for an address, from the environment as on other systems; none is $null.
function Get-Proxy([Uri]$Address) {
    $proxy = $env:http_proxy
    if ($Address.Scheme -eq 'https' -and $env:https_proxy) { $proxy = $env:https_proxy }
    if (-not $proxy) { return $null }
    foreach ($name in "$env:no_proxy" -split ',') {
        $name = $name.Trim().TrimStart('*').TrimStart('.')
        if ($name -and ($Address.Host -eq $name -or $Address.Host.EndsWith(".$name"))) { return $null }
    }
    if ($proxy -notmatch '://') { $proxy = "http://$proxy" }
    # User and password end at the last @ and may hold any character.
    if ($proxy -notmatch '^(?<scheme>[a-z]+://)((?<user>[^:]*)(:(?<password>.*))?@)?(?<host>[^@]+)$') { return $null }
    $web = New-Object System.Net.WebProxy ($Matches['scheme'] + $Matches['host'])
    if ($Matches['user']) {
        $user = [Uri]::UnescapeDataString($Matches['user'])
        $password = [Uri]::UnescapeDataString("$($Matches['password'])")
        $web.Credentials = New-Object System.Net.NetworkCredential ($user, $password)
    }
    $web
}

# Writes what the address answers to a file, no more than Size bytes and one.
function Save-Answer([Uri]$Address, [string]$To, [long]$Size) {
    [Net.ServicePointManager]::SecurityProtocol = [Net.ServicePointManager]::SecurityProtocol -bor [Net.SecurityProtocolType]::Tls12
    $request = [Net.WebRequest]::Create($Address)
    $request.Proxy = Get-Proxy $Address
    $request.Timeout = 60000
    $request.ReadWriteTimeout = 60000
    $answer = $request.GetResponse()
    try {
        $from = $answer.GetResponseStream()
        $file = New-Object IO.FileStream ($To, [IO.FileMode]::CreateNew)
        try {
            $buffer = New-Object byte[] 65536
            while ($file.Length -le $Size -and ($n = $from.Read($buffer, 0, $buffer.Length)) -gt 0) {
                $file.Write($buffer, 0, $n)
            }
            $file.Flush($true)
        }
        finally { $file.Close() }
    }
    finally { $answer.Close() }
}

function Get-Sum([string]$File) { (Get-FileHash -Algorithm SHA256 -LiteralPath $File).Hash.ToLowerInvariant() }

function Get-One($File) {
    $target = Join-Path $Bin $File.Name
    if ((Test-Path -LiteralPath $target -PathType Leaf) -and (Get-Sum $target) -eq $File.Sum) {
        "$($File.Name) is there already."
        return
    }
    $part = Join-Path $Bin ".$($File.Name).partial-$PID"
    try {
        try { Save-Answer "$Service$($File.Path)" $part $File.Size }
        catch { Stop-With "$($File.Name) could not be fetched from ${Service}: $($_.Exception.Message)" 'Look at the network, the disk, the permissions and the proxy (http_proxy, https_proxy, no_proxy), then run this again.' }
        $got = Get-Sum $part
        if ($got -ne $File.Sum) {
            Stop-With "What came for $($File.Name) is not what the vendor released: SHA-256 $got instead of $($File.Sum). It was thrown away." "Look for a proxy that answers in place of $Service; else get this script anew from your vendor."
        }
        try {
            if ((Get-System) -notlike 'windows/*') { & chmod 755 $part }
            if (Test-Path -LiteralPath $target) { [IO.File]::Replace($part, $target, [NullString]::Value) }
            else { [IO.File]::Move($part, $target) }
        }
        catch { Stop-With "$($File.Name) could not be put into ${Bin}: $($_.Exception.Message)" 'See whether it runs, and who owns the folder.' }
    }
    finally { Remove-Item -LiteralPath $part -Force -ErrorAction SilentlyContinue }
    "$($File.Name) is fetched."
}

function Get-Tools([bool]$All, [bool]$Verbose) {
    $product = Get-Product
    $here = Get-System
    if ($Verbose) { "$product in $(Split-Path -Parent $Bin), on $here; update tool $ToolName $ToolVersion from $Service" }
    $list = @(Get-List)
    if (-not $All) {
        if (@($list | Where-Object { $_.System -eq $here }).Count -eq 0) {
            "NOTE: there is no update tool of $product for $here. Update it on another system, or fetch the tools of all systems with --all."
            return
        }
        $list = @($list | Where-Object { $_.System -eq $here -or $_.System -eq 'any' })
    }
    foreach ($f in $list) { Get-One $f }
}

function Remove-Tools([bool]$Ask) {
    $there = @(Get-List | Where-Object { Test-Path -LiteralPath (Join-Path $Bin $_.Name) -PathType Leaf } | ForEach-Object { $_.Name })
    if ($there.Count -eq 0) {
        'There is nothing to remove.'
        return
    }
    if ($Ask) {
        if ([Console]::IsInputRedirected) { Stop-With "There is no terminal to ask whether $there should be removed." "$Me --force-clean" }
        if ((Read-Host "Remove $there from ${Bin}? [y/N]") -notmatch '^(y|yes)$') {
            'Nothing was removed.'
            return
        }
    }
    foreach ($name in $there) {
        try { Remove-Item -LiteralPath (Join-Path $Bin $name) -Force }
        catch { Stop-With "$name could not be removed: $($_.Exception.Message)" 'See whether it runs, and who owns the folder.' }
        "$name is removed."
    }
}

$action = 'fetch'
$verbose = $false
foreach ($option in $args) {
    $wanted = $action
    switch -CaseSensitive ("$option") {
        { $_ -in '-h', '--help' } { Show-Usage; exit 0 }
        '--version' { "$ToolName $ToolVersion"; exit 0 }
        { $_ -in '-v', '--verbose' } { $verbose = $true; break }
        { $_ -in '-a', '--all' } { $wanted = 'all'; break }
        { $_ -in '-c', '--clean' } { $wanted = 'clean'; break }
        '--force-clean' { $wanted = 'force-clean'; break }
        default { Stop-With "$option is no option." "$Me --help" }
    }
    if ($action -ne 'fetch' -and $action -ne $wanted) { Stop-With "--$action and --$wanted exclude one another." 'Give one of them.' }
    $action = $wanted
}
switch ($action) {
    'clean' { Remove-Tools $true }
    'force-clean' { Remove-Tools $false }
    default { Get-Tools ($action -eq 'all') $verbose }
}
exit 0
