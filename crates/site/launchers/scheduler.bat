@echo off
rem Makes an entry in the Windows Task Scheduler that starts the agent whenever this computer starts.
rem   scheduler.bat           makes the entry and starts the agent now
rem   scheduler.bat remove    stops the agent and removes the entry
rem Run it as administrator. The entry is named after this folder.
setlocal
cd /d "%~dp0"
for %%I in ("%CD%") do set "ENTRY=Sallyport %%~nxI"

net session >nul 2>&1
if errorlevel 1 (
    echo Right-click scheduler.bat and choose "Run as administrator".
    pause
    exit /b 1
)

if /i "%~1"=="remove" (
    sallyport-wrapper.exe stop
    schtasks /Delete /F /TN "%ENTRY%"
    exit /b %ERRORLEVEL%
)

schtasks /Create /F /TN "%ENTRY%" /SC ONSTART /RU SYSTEM /RL HIGHEST /TR "\"%CD%\sallyport-wrapper.exe\" --background"
if errorlevel 1 (
    echo The entry "%ENTRY%" could not be made.
    pause
    exit /b 1
)
schtasks /Run /TN "%ENTRY%"
echo The agent starts with this computer from now on. "scheduler.bat remove" takes that back.
