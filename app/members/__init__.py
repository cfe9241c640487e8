"""The payer's own member data behind one interface: the roster, or the Coverage resource taken at its word."""

from app.members.directory import MemberDirectory
from app.members.grants import Grants
from app.members.member import Member, MemberMatch, MemberSource

__all__ = ["Grants", "Member", "MemberDirectory", "MemberMatch", "MemberSource"]
