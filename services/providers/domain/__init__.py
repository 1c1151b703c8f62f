"""What an attempt is: pure rules about accounts, time limits and endpoints."""
