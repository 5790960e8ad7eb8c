@echo off
rem Makes an entry in the Windows Task Scheduler that starts the agent whenever this computer starts.
rem   scheduler.bat           makes the entry and starts the agent now
rem   scheduler.bat remove    stops the agent and removes the entry
rem Run it as administrator. The entry is named after this folder. The agent runs as LOCAL SERVICE, a user of few
rem rights, and the folder becomes that user's and the administrators': nobody else can change what runs there.
setlocal
cd /d "%~dp0"
for %%I in ("%CD%") do set "ENTRY=Sallyport %%~nxI"
set "HERE=%CD:&=&amp;%"
set "XML=%TEMP%\sallyport-entry-%RANDOM%.xml"

net session >nul 2>&1
if errorlevel 1 (
    echo Right-click scheduler.bat and choose "Run as administrator".
    pause
    exit /b 1
)

if /i "%~1"=="remove" (
    sallyport-wrapper.exe stop
    schtasks /Delete /F /TN "%ENTRY%"
    exit /b
)

rem S-1-5-19 is LOCAL SERVICE, S-1-5-32-544 the administrators, S-1-5-18 the system; their names differ by language.
icacls "%CD%" /inheritance:r /grant:r "*S-1-5-19:(OI)(CI)M" "*S-1-5-32-544:(OI)(CI)F" "*S-1-5-18:(OI)(CI)F" /Q >nul
if errorlevel 1 (
    echo The rights of the folder could not be set.
    pause
    exit /b 1
)

rem A path may hold any letter.
chcp 65001 >nul
rem Without an end, on batteries too, and again after a failure: none of it can be said on schtasks' command line.
>"%XML%" echo ^<?xml version="1.0"?^>
>>"%XML%" echo ^<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task"^>
>>"%XML%" echo ^<Triggers^>^<BootTrigger /^>^</Triggers^>
>>"%XML%" echo ^<Principals^>^<Principal id="Agent"^>^<UserId^>S-1-5-19^</UserId^>^</Principal^>^</Principals^>
>>"%XML%" echo ^<Settings^>
>>"%XML%" echo ^<MultipleInstancesPolicy^>IgnoreNew^</MultipleInstancesPolicy^>
>>"%XML%" echo ^<DisallowStartIfOnBatteries^>false^</DisallowStartIfOnBatteries^>
>>"%XML%" echo ^<StopIfGoingOnBatteries^>false^</StopIfGoingOnBatteries^>
>>"%XML%" echo ^<ExecutionTimeLimit^>PT0S^</ExecutionTimeLimit^>
>>"%XML%" echo ^<RestartOnFailure^>^<Interval^>PT1M^</Interval^>^<Count^>999^</Count^>^</RestartOnFailure^>
>>"%XML%" echo ^</Settings^>
>>"%XML%" echo ^<Actions Context="Agent"^>^<Exec^>
>>"%XML%" echo ^<Command^>"%HERE%\sallyport-wrapper.exe"^</Command^>
>>"%XML%" echo ^<Arguments^>--background^</Arguments^>
>>"%XML%" echo ^</Exec^>^</Actions^>
>>"%XML%" echo ^</Task^>
schtasks /Create /F /TN "%ENTRY%" /XML "%XML%"
set "MADE=%ERRORLEVEL%"
del "%XML%"
if not "%MADE%"=="0" (
    echo The entry "%ENTRY%" could not be made.
    pause
    exit /b 1
)
schtasks /Run /TN "%ENTRY%"
echo The agent starts with this computer from now on. "scheduler.bat remove" takes that back.
