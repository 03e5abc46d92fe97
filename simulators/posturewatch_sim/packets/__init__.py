"""What sensors send, written from their makers' documents: readings in, bytes out.  Nothing here reads them back."""
