"""What `bench/run` is made of: the server under test, its provisioning, the web it talks to, and sipp."""
