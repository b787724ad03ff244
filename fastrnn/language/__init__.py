"""Language models: their base class, the recurrent one, and those that are made of others."""
