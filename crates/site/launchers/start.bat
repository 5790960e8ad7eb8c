@echo off
rem Starts the agent from this folder and keeps it running. Ctrl-C, or "sallyport-wrapper stop", ends it.
rem Arguments are handed on: "start.bat status" says what runs.
cd /d "%~dp0"
sallyport-wrapper.exe %*
set CODE=%ERRORLEVEL%
if not "%CODE%"=="0" if "%~1"=="" pause
exit /b %CODE%
