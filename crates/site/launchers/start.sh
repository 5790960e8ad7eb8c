#!/bin/sh
# Starts the agent from this folder and keeps it running. Ctrl-C, or "./sallyport-wrapper stop", ends it.
# Arguments are handed on: "./start.sh status" says what runs.
cd "$(dirname "$0")" || exit 1
if [ ! -x ./sallyport-wrapper ]; then
    # Some unzip programs lose the executable bit.
    chmod +x ./sallyport-wrapper ./Agent/sallyport-agent 2>/dev/null
fi
exec ./sallyport-wrapper "$@"
