"""The console: the gateway's web pages for people."""
