"""How Home Assistant learns of wearers: devices and their entities, by discovery."""
