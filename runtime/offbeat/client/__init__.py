"""The clients, synchronous and asynchronous."""

from offbeat.client.async_client import AsyncClient
from offbeat.client.messages import ModelSummary
from offbeat.client.points import PointResult, Points
from offbeat.client.sync_client import Client
from offbeat.security_config import ClientSecurity

__all__ = ["AsyncClient", "Client", "ClientSecurity", "ModelSummary", "PointResult", "Points"]
