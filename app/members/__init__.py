"""The payer's own member data behind one interface: the roster, or the Coverage resource taken at its word."""

from app.members.directory import MemberDirectory
from app.members.grants import Grant, Grants
from app.members.member import Member, MemberMatch, MemberSource

__all__ = ["Grant", "Grants", "Member", "MemberDirectory", "MemberMatch", "MemberSource"]
