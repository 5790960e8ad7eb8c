"""Writes into a server's database what would take many agents: log lines at a pace, or agents in their thousands."""

import sqlite3
import sys
import time
import uuid


def lines(db, agent, count, pace):
    """`count` lines of an agent, `pace` a second, as the server stores those of a batch."""
    company, environment = db.execute("SELECT company, environment FROM agent WHERE id = ?", [agent]).fetchone()
    began, done = time.monotonic(), 0
    while done < count:
        due = min(count, int((time.monotonic() - began) * pace) + 1)
        now = int(time.time() * 1_000_000)
        rows = [
            (company, environment, agent, "agent", now, now, 4 if number % 1000 == 999 else 2, "load", f"line {number} of many, with some words as logs have them")
            for number in range(done, due)
        ]
        db.execute("BEGIN IMMEDIATE")
        db.executemany("INSERT INTO agent_log(company, environment, agent, source, at, received_at, level, target, message) VALUES (?,?,?,?,?,?,?,?,?)", rows)
        db.execute("COMMIT")
        done = due
        time.sleep(0.05)


def agents(db, count):
    company, environment = db.execute("SELECT company, id FROM environment LIMIT 1").fetchone()
    now = int(time.time() * 1_000_000)
    rows = [(f"agent_{uuid.uuid4().hex}", company, environment, f"branch {number:05}", now + number, now) for number in range(count)]
    db.execute("BEGIN IMMEDIATE")
    db.executemany(
        "INSERT INTO agent(id, company, environment, name, kind, file_level, console_level, created_at, updated_at) VALUES (?,?,?,?,'remote',2,2,?,?)", rows
    )
    db.execute("COMMIT")


database = sqlite3.connect(sys.argv[2], isolation_level=None, timeout=30)
if sys.argv[1] == "lines":
    lines(database, sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
else:
    agents(database, int(sys.argv[3]))
