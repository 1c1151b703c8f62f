"""Billing that can be killed. Run as a module with a data folder and a socket; says `ready` when it serves."""

import asyncio
import os
import sys
from pathlib import Path

from services.billing.settings import BillingSettings
from tests.services.billing.harness import served


async def main(folder: Path, socket: Path) -> None:
    async with served(BillingSettings(data_dir=folder), socket):
        os.write(1, b"ready\n")
        await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
