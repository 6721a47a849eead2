"""Rules about statements that hurt a running application, each with a code, a reason and a safer form."""
