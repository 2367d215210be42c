from django.db import migrations, models

from lib.ops.online_migrations import AddColumn


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ('billing', '0012_hundredths'),
    ]

    operations = [
        AddColumn(
            model_name='requestrecord',
            name='endpoint',
            field=models.CharField(db_default='rmbg', default='rmbg', max_length=32),
        ),
    ]
